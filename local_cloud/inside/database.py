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

"""Become the database server, whose directory is made the first time."""

import os
import sys

from local_cloud import exceptions
from local_cloud.machine import loopback
from local_cloud.machine import state as cloud_state
from local_cloud.services import database


def main() -> None:
    root, descriptor = sys.argv[1:]
    state = cloud_state.State(root)
    state.load()
    kept = loopback.reserve(int(descriptor))
    os.set_inheritable(kept.fileno(), True)
    server = database.Database(state).server
    try:
        if not server.directory.exists():
            server.initialize()
    except exceptions.LocalCloudError as error:
        sys.exit(str(error))
    command = server.command()
    os.execvp(command[0], command)  # noqa: S606


if __name__ == '__main__':
    main()
