# SPDX-License-Identifier: Apache-2.0

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
