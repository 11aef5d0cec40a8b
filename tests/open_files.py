# SPDX-License-Identifier: Apache-2.0

"""Which files a test has left open."""

import os
import time


def below(path, patience=30):
    """The files below a directory that this process has open.

    Abandoned threads may be about to close theirs.

    :param path: of the directory, as the kernel knows it
    :param patience: seconds after which they do not count as such any more
    """
    deadline = time.monotonic() + patience
    while (found := _found(path)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _found(path):
    found = []
    for number in os.listdir('/proc/self/fd'):
        try:
            name = os.readlink(f'/proc/self/fd/{number}')
        except FileNotFoundError:
            # What lists them, or a thread's.
            continue
        if name == path or name.startswith(f'{path}/'):
            found.append(name)
    return found
