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

"""Become the NFS server.

It opens its port itself. Until then the cloud keeps the port for it, by a
socket that this program inherits.
"""

import os
import sys


def main() -> None:
    descriptor, *command = sys.argv[1:]
    os.close(int(descriptor))
    os.execv(command[0], command)  # noqa: S606


if __name__ == '__main__':
    main()
