# SPDX-License-Identifier: Apache-2.0

"""Copies of a file of records, of which the newest ones are kept."""

import datetime
import pathlib
import re
import shutil
from typing import Any

from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import sealing

_ENCRYPTED = '.jwe'
_TIME = '%Y%m%dT%H%M%SZ'


def make(path: pathlib.Path, directory: pathlib.Path, number: int,
         wanted: list[Any]) -> pathlib.Path:
    """Copy a file, and delete the older copies.

    :param directory: of the copies; other files in it are left alone
    :param number: of the copies that are kept, with the new one
    :param wanted: public keys, for which the copy is encrypted if there are
        any
    :returns: the copy
    :raises BadFile: it cannot be written, and none is deleted; or one cannot
        be deleted
    """
    now = datetime.datetime.now(datetime.UTC).strftime(_TIME)
    copy = directory / (f'{path.name}-{now}' + (_ENCRYPTED if wanted else ''))
    with files.reading(path) as source, files.replacing(copy) as target:
        if wanted:
            sealing.seal(source, target, wanted)
        else:
            shutil.copyfileobj(source, target)
    form = re.compile(rf'{re.escape(path.name)}-([0-9]{{8}}T[0-9]{{6}}Z)'
                      rf'({re.escape(_ENCRYPTED)})?')
    try:
        old = sorted((match[1], one) for one in directory.iterdir()
                     if (match := form.fullmatch(one.name)))
        for _, one in old[:-number]:
            one.unlink()
    except OSError as error:
        raise exceptions.BadFile(f'{error.filename}: {error.strerror}'
                                 ) from error
    return copy
