# SPDX-License-Identifier: Apache-2.0

"""Become the database server, whose directory is made the first time."""

import os
import sys

from local_cloud import exceptions
from local_cloud.machine import cloud_state
from local_cloud.machine import loopback
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
