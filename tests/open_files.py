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

"""Which files a test has left open."""

import os
import time


def below(path, patience=30):
    """The files below a directory that this process has open.

    Threads that nobody waits for may be about to close theirs.

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
