# SPDX-License-Identifier: Apache-2.0

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
