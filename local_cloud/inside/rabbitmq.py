# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Become the node of RabbitMQ."""

import os
import sys

from local_cloud.machine import loopback


def main() -> None:
    descriptors, program = sys.argv[1:]
    # Its own programs bind them; until then, and after, they are nobody's.
    kept = [loopback.reserve(int(one)) for one in descriptors.split(',')]
    for one in kept:
        os.set_inheritable(one.fileno(), True)
    os.execv(program, [program])  # noqa: S606


if __name__ == '__main__':
    main()
