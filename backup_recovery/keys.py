# SPDX-License-Identifier: Apache-2.0

"""The keys that travel in records, and the key manager that gets them.

An import needs the key of an encrypted backup in the key manager, under the
id that the record names. So the wrapped key becomes a secret of the backup's
project. A driver that gives an import a key of its own leaves that secret
over, and it is deleted then; no other secret ever is.
"""

import base64
from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import json
import pathlib
from typing import Any

from backup_recovery import books
from backup_recovery import exceptions
from backup_recovery import journals
from backup_recovery import records
from backup_recovery import signing
from reference_drivers.recovery_keys import wrapping

_SERVICE = 'key-manager'
_WORKING = ('creating', 'deleting')


class NotStored(exceptions.RecoveryError):
    """A key cannot be unwrapped or stored, or a secret is left over."""


def _encryption(fields: dict[str, Any]) -> dict[str, Any]:
    """The part of a record about its key; empty for a plain volume."""
    info = fields.get('driver_info')
    found = info.get('encryption') if isinstance(info, dict) else None
    return found if isinstance(found, dict) else {}


def unproven(fields: dict[str, Any]) -> bool:
    """Check whether a record of an encrypted volume cannot prove its key."""
    return _encryption(fields).get('fingerprint', '') is None


def _url(fields: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(fields).encode()).decode()


def without_wrap(record: records.Record, key_id: str | None = None) -> str:
    """The record as it is imported: Cinder writes it into its log.

    :param key_id: that it is to name; None for the one that it names
    """
    fields = record.fields
    if 'wrapped' not in _encryption(fields):
        return record.backup_url
    del _encryption(fields)['wrapped']
    if key_id is not None:
        fields['encryption_key_id'] = key_id
    return _url(fields)


def read(path: pathlib.Path) -> wrapping.RecoveryKey:
    """Read a private key.

    :raises BadFile: it cannot be used
    """
    try:
        return wrapping.RecoveryKey.read(path)
    except wrapping.BadKeyFile as error:
        raise exceptions.BadFile(str(error)) from error


def recipients(paths: Sequence[pathlib.Path]) -> list[Any]:
    """Read public keys, for which a file is encrypted.

    :raises BadFile: one of them cannot be used
    """
    try:
        return list(wrapping.public_keys(paths).values())
    except wrapping.BadKeyFile as error:
        raise exceptions.BadFile(str(error)) from error


class Keys:
    """The keys of a plan's backups, for several threads.

    :param private: with which they are unwrapped
    :param journal: of the plan; a secret is in it before it has a key, and a
        run that was killed leaves none behind that the next one does not see
    """

    def __init__(self, private: wrapping.RecoveryKey,
                 journal: journals.Journal):
        self._private = private
        self._journal = journal

    def refused(self, record: records.Record) -> str | None:
        """The reason why the key of a record cannot be unwrapped."""
        found = _encryption(record.fields)
        if 'wrapped' in found:
            try:
                self._private.open(found['wrapped'], record.id,
                                   found.get('fingerprint'))
            except wrapping.NotUnwrapped as error:
                return str(error)
        return None

    def store(self, session: Any, record: records.Record) -> str:
        """Make a secret of the key of a record, if it has one.

        :param session: :class:`clouds.Session` of the backup's project
        :returns: the record that names it, without the wrapped key
        :raises NotStored: it is not the key, or no secret can be made
        """
        found = _encryption(record.fields)
        if 'wrapped' not in found:
            return record.backup_url
        try:
            key = self._private.unwrap(found['wrapped'], record.id,
                                       found.get('fingerprint'))
        except wrapping.NotUnwrapped as error:
            raise NotStored(str(error)) from error
        cipher = found.get('cipher')
        try:
            made = session.request('POST', '/secrets', _SERVICE, json={
                'secret_type': 'symmetric', 'bit_length': 8 * len(key),
                'algorithm': str(cipher or 'aes').partition('-')[0]})
            key_id = made['secret_ref'].rpartition('/')[2]
            self._journal.store(record.id, key_id)
            # No library may log it.
            session.request('PUT', f'/secrets/{key_id}', _SERVICE, data=key,
                            log=False, headers={
                                'Content-Type': 'application/octet-stream'})
        except exceptions.Refused as error:
            raise NotStored(f'the key manager does not store its key: '
                                   f'{error}') from error
        return without_wrap(record, key_id)

    def settle(self, session: Any, backup_id: str) -> None:
        """Delete what was stored for a backup whose row does not need it.

        Nothing is done while the import goes on.

        :raises NotStored: a secret is left over
        """
        if not self._journal.stored.get(backup_id):
            return
        found = session.backup(backup_id)
        if found is not None and found.status in _WORKING:
            return
        for key_id in list(self._journal.stored[backup_id]):
            if found is None or found.key_id != key_id:
                try:
                    session.request('DELETE', f'/secrets/{key_id}', _SERVICE)
                except exceptions.Refused as error:
                    if error.status != 404:
                        raise NotStored(
                            f'secret {key_id} was made for its import and is '
                            f'left over ({error}): delete it') from error
            self._journal.settle(backup_id, key_id)


@dataclasses.dataclass
class Rewrapped:
    """The outcome of a rotation.

    :ivar count: how many records the file has
    :ivar rewrapped: ids of those whose key is wrapped anew
    :ivar failed: the reason by the id of each whose key could not be
        unwrapped; its record is unchanged
    :ivar problems: of the file
    """

    count: int = 0
    rewrapped: list[str] = dataclasses.field(default_factory=list)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: list[books.Problem] = dataclasses.field(default_factory=list)


def rewrap(path: pathlib.Path, private: wrapping.RecoveryKey,
           recipients: Sequence[pathlib.Path],
           progress: Callable[[int, int], None] = lambda done, of: None,
           how: signing.Signing | None = None) -> Rewrapped:
    """Wrap the keys of a file of records for other recipients.

    Neither a cloud nor a storage is needed. The file is replaced when all
    is done.

    :param recipients: files with public keys; all others have no access to
        the new records any more
    :param progress: called with the number of records that are done, and of
        all
    :param how: the file is signed
    :raises BadFile: a file cannot be used; nothing is changed
    """
    try:
        wanted = wrapping.recipients(recipients)
    except wrapping.BadKeyFile as error:
        raise exceptions.BadFile(str(error)) from error
    how = how or signing.Signing()
    book = books.Book(path, how.signers).load()
    how.check(book)
    if book.lossy:
        raise exceptions.BadFile(f'{path} has lines that cannot be used, '
                                 f'which would be lost: {book.problems[0]}')
    report = Rewrapped(problems=book.problems)

    def all_of_them() -> Any:
        with book.reader() as reader:
            for number, one in enumerate(book.records.values(), 1):
                record = reader(one)
                fields = record.fields
                found = _encryption(fields)
                if 'wrapped' in found:
                    try:
                        key = private.unwrap(found['wrapped'], record.id,
                                             found.get('fingerprint'))
                        found['wrapped'] = wrapping.wrap(
                            key, record.id, found['fingerprint'], wanted)
                        record = dataclasses.replace(record,
                                                     backup_url=_url(fields))
                        report.rewrapped.append(record.id)
                    except wrapping.NotUnwrapped as error:
                        report.failed[record.id] = str(error)
                yield record
                progress(number, len(book.records))

    report.count = records.write(path, all_of_them(), how.signer)
    return report
