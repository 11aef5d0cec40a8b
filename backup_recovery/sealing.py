# SPDX-License-Identifier: Apache-2.0

"""Encrypt files of records for public keys, and decrypt them.

The first line has a key that is of this file alone, wrapped for each
recipient. Each other line is a part of the file, a JWE (RFC 7516) by that key,
with its number and whether it is the last one in the authenticated header. So
a file of any size takes little memory, and one whose parts are not all there,
in their order, is refused.
"""

import json
import os
import pathlib
from typing import Any
from typing import BinaryIO

from backup_recovery import exceptions
from backup_recovery import files
from reference_drivers.recovery_keys import wrapping

VERSION = 1
#: What the first line starts with.
START = b'{"sealed": '
_BOUND = b'cinder-backup-records file'
_HEADER = {'alg': 'dir', 'enc': 'A256GCM'}
_PART = 1024 ** 2
# More than a part has in base64.
_LONGEST_LINE = 2 * _PART
_KEY = 32


def _as_jose(key: bytes) -> Any:
    from jwcrypto import common
    from jwcrypto import jwk

    return jwk.JWK(kty='oct', k=common.base64url_encode(key))


def seal(source: BinaryIO, target: BinaryIO, wanted: list[Any]) -> None:
    """Encrypt a file.

    :param wanted: the public keys, as :func:`wrapping.public_key` reads them
    """
    from jwcrypto import jwe

    key = os.urandom(_KEY)
    target.write(files.line({'sealed': VERSION, 'key': wrapping.wrap_bound(
        key, _BOUND, wanted)}))
    number, content = 0, source.read(_PART)
    while True:
        following = source.read(_PART)
        part = jwe.JWE(content, json.dumps({
            **_HEADER, 'part': number, 'last': not following}))
        part.add_recipient(_as_jose(key))
        target.write(files.line({'part': part.serialize(compact=True)}))
        if not following:
            return
        number, content = number + 1, following


def unseal(path: pathlib.Path, target: pathlib.Path,
           private: wrapping.RecoveryKey) -> None:
    """Decrypt a file into another one, which is there when all of it is.

    :raises BadFile: it is not encrypted, or not for this key, was cut off or
        changed, or the other one exists or cannot be written
    """
    if target.exists():
        raise exceptions.BadFile(f'{target} exists; move it away, or choose '
                                 f'another name')
    with files.reading(path) as source, files.replacing(target) as plain:
        head = source.readline(_LONGEST_LINE)
        try:
            content = json.loads(head)
            if not head.startswith(START) or content['sealed'] != VERSION:
                raise ValueError
            key = _as_jose(private.open_bound(content['key'], _BOUND,
                                              'a file of records'))
        except wrapping.NotUnwrapped as error:
            raise exceptions.BadFile(f'{path}: {error}') from error
        except (ValueError, KeyError, RecursionError) as error:
            raise exceptions.BadFile(
                f'{path} is not an encrypted file of records, version '
                f'{VERSION}') from error
        number, is_last = 0, False
        while line := source.readline(_LONGEST_LINE):
            if is_last:
                raise exceptions.BadFile(f'{path} has lines after its last '
                                         f'part')
            found, header = _part(path, number, line, key)
            if header.get('part') != number:
                raise exceptions.BadFile(
                    f'{path}:{number + 2}: part {number} of the file is '
                    f'missing, or in another place')
            plain.write(found)
            number, is_last = number + 1, bool(header.get('last'))
        if not is_last:
            raise exceptions.BadFile(f'{path} was cut off after '
                                     f'{number} parts')


def _part(path: pathlib.Path, number: int, line: bytes, key: Any
          ) -> tuple[bytes, dict[str, Any]]:
    from jwcrypto import common
    from jwcrypto import jwe

    made = jwe.JWE(algs=list(_HEADER.values()))
    try:
        made.deserialize(json.loads(line)['part'], key)
    # A line of a file may have any form.
    except (common.JWException, ValueError, KeyError, TypeError,
            RecursionError) as error:
        raise exceptions.BadFile(f'{path}:{number + 2}: the line was cut off '
                                 f'or changed') from error
    return made.payload, made.jose_header
