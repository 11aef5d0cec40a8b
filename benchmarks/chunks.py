# SPDX-License-Identifier: Apache-2.0

"""A backup of one tiny chunk, made one of many by writing its metadata anew.

So the cost of a number of chunks is measured and tested without as many
uploads.
"""

import json
import os
from typing import Any

from benchmarks import results
from reference_drivers.contract import base


def create_backup(cinder: Any, count: int, root: str | None = None) -> Any:
    """Make a backup of many chunks in a directory.

    :param cinder: an Environment with a driver for a directory
    :param root: where the files of the driver are, unless its backup_path
    """
    cinder.configure(backup_compression_algorithm='zlib',
                     backup_file_size=results.BLOCK)
    backup = create_small_backup(cinder, count)
    prefix = os.path.join(root or cinder.driver().backup_path,
                          backup.container, backup.service_metadata)

    def read(end: str) -> bytes:
        with open(f'{prefix}{end}', 'rb') as stream:
            return stream.read()

    def write(end: str, data: bytes) -> None:
        with open(f'{prefix}{end}', 'wb') as stream:
            stream.write(data)

    chunk = read('-00001')
    for number in range(2, count + 1):
        write(f'-{number:05d}', chunk)
    for end, data in described(backup.service_metadata, count,
                               read('_metadata'), read('_sha256file')).items():
        write(end, data)
    return backup


def create_small_backup(cinder: Any, count: int) -> Any:
    """Make a backup of one chunk whose row already has the final count."""
    volume = cinder.create_volume(
        base.text(results.BLOCK),
        size=-(-count * results.BLOCK // results.GIB))
    backup = cinder.create_backup(volume)
    backup.object_count = count
    backup.save()
    return backup


def described(prefix: str, count: int, metadata: bytes, hashes: bytes
              ) -> dict[str, bytes]:
    """The two descriptions of a backup whose only chunk is repeated.

    :param metadata: the object of this name, with one chunk
    :param hashes: the object with the list of SHA-256
    :returns: their new contents by the end of their names
    """
    of_one, sums = json.loads(metadata), json.loads(hashes)
    (_, values), = of_one['objects'][0].items()
    of_one['objects'] = [
        {f'{prefix}-{number + 1:05d}': {
            **values, 'offset': number * results.BLOCK}}
        for number in range(count)]
    sums['sha256s'] *= count
    return {end: json.dumps(content, indent=2, sort_keys=True).encode()
            for end, content in (('_metadata', of_one),
                                 ('_sha256file', sums))}
