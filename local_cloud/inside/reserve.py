# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Becomes a server that opens its ports itself, and keeps them until then."""

import os
import sys

from local_cloud.machine import loopback


def main() -> None:
    descriptors, *command = sys.argv[1:]
    # Open after exec, so that no other program gets the ports.
    kept = [loopback.reserve(int(number)) for number in descriptors.split(',')]
    for socket in kept:
        os.set_inheritable(socket.fileno(), True)
    os.execv(command[0], command)  # noqa: S606


if __name__ == '__main__':
    main()
