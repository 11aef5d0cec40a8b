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

r"""List objects in a container that were not uploaded.

A program of its own, since Swift's code is made for eventlet and Cinder's in
the same process is not. It writes the rows with the code of Swift's container
server, as that does after each upload::

    python -m tests.functional.swift_rows \
        DIRECTORY CONTAINER PREFIX COUNT SIZE MD5
"""

import pathlib
import sys

_AT_A_TIME = 10_000


def main() -> None:
    from swift.common import utils
    from swift.container import backend

    directory, container, prefix, count, size, md5 = sys.argv[1:]
    brokers = [backend.ContainerBroker(str(path)) for path in
               pathlib.Path(directory).glob('disk/containers/*/*/*/*.db')]
    broker, = (broker for broker in brokers
               if broker.get_info()['container'] == container)
    policy = broker.get_info()['storage_policy_index']
    numbers = range(2, int(count) + 1)
    for first in range(0, len(numbers), _AT_A_TIME):
        broker.merge_items([{
            'name': f'{prefix}-{number:05d}', 'size': int(size),
            'created_at': utils.Timestamp.now().internal, 'etag': md5,
            'content_type': 'application/octet-stream', 'deleted': 0,
            'storage_policy_index': policy}
            for number in numbers[first:first + _AT_A_TIME]])


if __name__ == '__main__':
    main()
