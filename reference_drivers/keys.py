# SPDX-License-Identifier: Apache-2.0

"""The keys of encrypted volumes, and the volume types that fit them.

A backup of an encrypted volume is its ciphertext. It is worth nothing without
the key, which is not in the record, and in a volume of another type. Cinder
asks for neither before a restore has written everything.
"""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import dataclasses
import json
import re
from typing import Any
import uuid

from castellan import key_manager
from castellan.common import exception as castellan_exception
from castellan.common.objects import symmetric_key
from cinder import exception
from cinder import objects
from cinder.volume import volume_types
from os_brick import encryptors
from oslo_config import cfg
from oslo_log import log as logging

from reference_drivers import options
from reference_drivers.recovery_keys import wrapping
from reference_drivers.verification import errors
from reference_drivers.verification import running

LOG = logging.getLogger(__name__)
CONF = cfg.CONF

_FINGERPRINT = re.compile(r'pbkdf2-sha512:[0-9a-f]{64}\Z')

# It becomes part of a URL. Vault has no dashes in it.
_ID = re.compile(r'[0-9A-Za-z-]{1,36}\Z')

_PARAMETERS = ('provider', 'cipher', 'key_size', 'control_location')
# As much as Cinder has for each, and Barbican for the name of a key.
_LENGTH = 255


class Denied(errors.Unreadable):
    """The key manager has the key, and the user of the request may not."""


class Unfit(errors.Problem):
    """The volume cannot have what the backup has."""

    kind = 'volume'


@dataclasses.dataclass(frozen=True)
class Source:
    """The volume that was backed up, as the storage has it.

    :ivar key_id: of the volume's key, which dies with the volume; None for a
        plain volume
    :ivar type_id: of its type, which has another id at another site
    """

    key_id: str | None
    type_id: str | None


def source(volume_meta: str | bytes | None) -> Source | None:
    """Read the metadata of a volume as Cinder's drivers store it.

    :returns: None where nothing can be read
    """
    try:
        base = json.loads(volume_meta or '')['volume-base-metadata']
        return Source(base['encryption_key_id'], base['volume_type_id'])
    except (ValueError, KeyError, TypeError):
        return None


def check(described: Any, backup_id: str) -> None:
    """Check the form of what a driver_info says of the key.

    :param described: as :meth:`Keys.describe` returns it
    :raises WrongRecord: saying what is wrong
    """
    if described is None:
        return
    proof = (described.get('fingerprint', '') if isinstance(described, dict)
             else '')
    if not (proof is None or (isinstance(proof, str) and
                              _FINGERPRINT.match(proof))):
        raise errors.WrongRecord('driver_info: encryption has no fingerprint',
                                 'encryption', backup_id)
    if (described.keys() - {'fingerprint', 'wrapped'} and
            _parameters(described) is None):
        raise errors.WrongRecord('driver_info: encryption has parameters that '
                                 'no volume type has', 'encryption',
                                 backup_id)


def fingerprint(key: Any, backup_id: str) -> str:
    """Make what proves that a key is the right one, and is not the key."""
    return running.native(wrapping.fingerprint, key.get_encoded(), backup_id)


def recipients() -> list[Any]:
    """Read the public keys that records wrap keys for.

    :raises InvalidConfigurationValue: saying what is wrong with one
    """
    paths = CONF[options.GROUP].recovery_recipients
    try:
        return wrapping.recipients(paths) if paths else []
    except wrapping.BadKeyFile as err:
        raise exception.InvalidConfigurationValue(
            f'[{options.GROUP}]recovery_recipients: {err}') from err


def _parameters(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parameters of an encryption, if these are some."""
    found = {name: values.get(name) for name in ('type', *_PARAMETERS)}
    texts = [value for name, value in found.items() if name != 'key_size']
    if (not all(value is None or (isinstance(value, str) and
                                  len(value) <= _LENGTH)
                for value in texts) or
            not isinstance(found['key_size'], int | None) or
            found['provider'] is None):
        return None
    return found


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    # The names that a provider had until Pike.
    old = encryptors.LEGACY_PROVIDER_CLASS_TO_FORMAT_MAP
    return all(old.get(one[name], one[name]) == old.get(other[name],
                                                        other[name])
               for name in _PARAMETERS)


def _text(parameters: Mapping[str, Any]) -> str:
    return (f'provider {parameters["provider"]}, cipher '
            f'{parameters["cipher"]}, key size {parameters["key_size"]}, '
            f'{parameters["control_location"]}')


def check_delete(context: Any, backup: Any) -> None:
    """Refuse a delete while the key manager does not answer.

    Cinder deletes the data, and then the key. Where that fails, the backup
    has no data and stays in status deleting until the service starts again.
    A key that the user may not have is deleted with Cinder's own account.

    :raises Problem: it does not answer
    """
    if backup.encryption_key_id is not None:
        with contextlib.suppress(errors.Missing, Denied):
            Keys(context, backup.id)._get(backup.encryption_key_id)


def spare(context: Any, backup: Any) -> None:
    """Take from a backup that is deleted the key of another one's.

    An import by Cinder's own driver gives a row the key that its record
    names, and Cinder deletes the key of a row with the row.

    :param backup: its row, of which nothing is saved
    """
    key_id = backup.encryption_key_id
    if key_id is None:
        return
    context = context.elevated()
    for rows in (objects.VolumeList, objects.BackupList):
        for row in rows.get_all(context, limit=2,
                                filters={'encryption_key_id': key_id}):
            if row.id != backup.id:
                LOG.warning('Key %(key)s stays: %(other)s has it, too, and '
                            'not only backup %(id)s, which is deleted.',
                            {'key': key_id, 'other': row.id,
                             'id': backup.id})
                backup.encryption_key_id = None
                return


class Keys:
    """The key manager and the volume types, asked for one backup.

    :param context: of the request
    :param backup_id: of the backup
    """

    def __init__(self, context: Any, backup_id: str):
        self._context = context
        self._backup_id = backup_id

    # The key manager

    def _ask(self, what: str, function: Callable[[Any], Any],
             late: Callable[[Any], None] | None = None) -> Any:
        """Ask the key manager, but wait only so long for it.

        :param what: what is asked, for the message
        :param function: called with the key manager
        :param late: called with an answer that comes too late
        :raises Missing: it has no such key
        :raises Problem: it did not answer, or with another error
        """
        try:
            return running.waiting(
                CONF[options.GROUP].timeout, what,
                lambda: function(key_manager.API(CONF)),
                who='the key manager', late=late)
        except errors.Problem:
            raise
        # The last one is of the key manager with a fixed key.
        except (castellan_exception.ManagedObjectNotFoundError,
                KeyError) as err:
            raise errors.Missing(f'the key manager has no {what}',
                                 'encryption_key_id',
                                 self._backup_id) from err
        except Exception as err:
            if (isinstance(err, castellan_exception.Forbidden) or
                    getattr(err.__context__, 'status_code', None) == 403):
                raise Denied(
                    f'the key manager denies {what} to project '
                    f'{self._context.project_id}; ask as a user of the '
                    f'project that has the key', 'encryption_key_id',
                    self._backup_id) from err
            raise errors.Unreadable(
                f'the key manager did not give {what}: {err}',
                'encryption_key_id', self._backup_id) from err

    def _get(self, key_id: str) -> Any:
        return self._ask(f'key {key_id}',
                         lambda manager: manager.get(self._context, key_id))

    def _store(self, key: Any) -> str:
        return self._ask('key of the copy',
                         lambda manager: manager.store(self._context, key),
                         late=self.delete)

    def delete(self, key_id: str) -> None:
        """Delete a key that was made here and that no row has."""
        try:
            self._ask(f'key {key_id}', lambda manager: manager.delete(
                self._context, key_id))
        except errors.Problem as err:
            LOG.error('Key %(key)s belongs to no backup and is left over: '
                      '%(reason)s', {'key': key_id, 'reason': err})

    # Volume types

    def _type(self, type_id: str) -> dict[str, Any] | None:
        """The parameters of a volume type; None if it does not encrypt."""
        context = self._context.elevated()
        found = volume_types.get_volume_type_encryption(context, type_id)
        if found is None:
            return None
        try:
            name = volume_types.get_volume_type(context, type_id)['name']
        except exception.VolumeTypeNotFound:
            return None
        return {'type': name,
                **{one: found[one] for one in _PARAMETERS}}

    def _equal_type(self, parameters: Mapping[str, Any]) -> str | None:
        """The name of a type of this site that the user can use."""
        for name, one in volume_types.get_all_types(self._context).items():
            own = self._type(one['id'])
            if own is not None and _equal(own, parameters):
                return name
        return None

    def _wanted(self, key: Any, volume: Source | None
                ) -> dict[str, Any] | None:
        """The parameters of the volume that was backed up.

        An import gives them to the key as its name: neither the row nor the
        storage has a place for them. Where none did, the type tells, if it
        exists at this site.
        """
        try:
            kept = json.loads(key.name or '') if key is not None else None
        except ValueError:
            kept = None
        return ((_parameters(kept) if isinstance(kept, dict) else None) or
                (self._type(volume.type_id) if volume and volume.type_id
                 else None))

    # Export, import, restore

    def describe(self, key_id: str | None, volume_meta: str | bytes | None
                 ) -> dict[str, Any] | None:
        """Describe the key of a backup in its record.

        :param key_id: as the row has it
        :param volume_meta: of the volume, as the storage has it
        :returns: what proves the key, the parameters of the encryption, and
            the key wrapped for the recipients that are configured; None for
            the backup of a plain volume
        :raises Problem: the key does not exist, so that the backup could not
            be restored, or the key manager does not answer
        :raises InvalidConfigurationValue: a recipient cannot be used
        """
        if key_id is None:
            return None
        proof = key = None
        try:
            key = self._get(key_id)
            proof = fingerprint(key, self._backup_id)
        except Denied as err:
            # An administrator exports the backups of all projects.
            LOG.warning('The record of backup %(id)s cannot prove its key: '
                        '%(reason)s', {'id': self._backup_id, 'reason': err})
        found = {'fingerprint': proof,
                 **(self._wanted(key, source(volume_meta)) or {})}
        wanted = recipients()
        if wanted and key is not None:
            found['wrapped'] = wrapping.wrap(
                key.get_encoded(), self._backup_id, str(proof), wanted)
        return found

    def adopt(self, key_id: str | None, described: Any,
              volume_meta: str | bytes | None, own: str | None
              ) -> str | None:
        """Prove the key that a record names, and make one of it for the copy.

        :param key_id: as the record has it
        :param described: as :meth:`describe` returned it, None in a record
            that is older, or of a plain volume
        :param volume_meta: of the volume, None if it was not read
        :param own: the key that the row has already, which had been deleted
        :returns: the key for the row
        :raises Problem: the key is another's, or cannot be had
        """
        if key_id is None:
            if described is not None:
                raise self._wrong('names no key, but the backup is of an '
                                  'encrypted volume')
            return None
        if not isinstance(key_id, str) or not _ID.match(key_id):
            raise self._wrong(f'names key {str(key_id)[:40]!r}, which is not '
                              f'an id')
        volume = source(volume_meta)
        if described is None and volume and volume.key_id is None:
            raise self._wrong(f'names key {key_id}, but the backup is of a '
                              f'plain volume')
        key = self._get(key_id)
        proof = (described or {}).get('fingerprint')
        if proof is None:
            LOG.warning('Nothing in the record proves that %(key)s is the '
                        'key of backup %(id)s.',
                        {'key': key_id, 'id': self._backup_id})
        elif fingerprint(key, self._backup_id) != proof:
            raise self._wrong(f'names key {key_id}, which is not the one '
                              f'that the volume was encrypted with')
        if own is not None and (key_id == own or self._is(own, key)):
            return own
        return self._store(self._named(key, described))

    def _is(self, key_id: str, key: Any) -> bool:
        """Check whether a key of this id exists, and is the same key."""
        try:
            return bool(self._get(key_id).get_encoded() == key.get_encoded())
        except (errors.Missing, Denied):
            return False

    def _wrong(self, what: str) -> errors.WrongRecord:
        return errors.WrongRecord(f'the record {what}', 'encryption_key_id',
                                  self._backup_id)

    @staticmethod
    def _named(key: Any, described: dict[str, Any] | None) -> Any:
        """The same key, with the parameters of a record as its name."""
        parameters = _parameters(described or {})
        if parameters is None or not isinstance(key,
                                                symmetric_key.SymmetricKey):
            return key
        name = json.dumps(parameters)
        if len(name) > _LENGTH:
            name = json.dumps({**parameters, 'type': None})
        return symmetric_key.SymmetricKey(
            key.algorithm, key.bit_length, key.get_encoded(),
            name if len(name) <= _LENGTH else None)

    def check_restore(self, backup: Any, volume: Any,
                      volume_meta: str | bytes | None
                      ) -> str | bytes | None:
        """Refuse a restore that could not be read, before it writes.

        A type with equal parameters is as good as the original one. Cinder
        compares their ids, when all is written.

        :param backup: its row, which is saved with a key if it had none
        :param volume: the row of the target
        :param volume_meta: of the volume that was backed up
        :returns: the metadata that Cinder accepts for the target
        :raises Unfit: naming the type that is needed
        :raises Problem: the key cannot be had
        """
        origin = source(volume_meta)
        own = self._type(volume.volume_type_id)
        key_id: str | None = backup.encryption_key_id
        if key_id is None and origin is not None:
            key_id = origin.key_id
        if key_id is None:
            if own is not None and origin is not None:
                raise Unfit(
                    f'volume {volume.id} is of the encrypted type '
                    f'{own["type"]}, and the backup is of a plain volume; '
                    f'restore to a volume whose type is not encrypted',
                    volume.id, self._backup_id)
            return volume_meta
        if volume_meta is None or origin is None or origin.key_id is None:
            raise errors.Missing(
                f'the row names key {key_id}, and the storage no encrypted '
                f'volume', 'encryption_key_id', self._backup_id)
        key = self._get(key_id)
        self._check_type(volume, own, self._wanted(key, origin))
        if backup.encryption_key_id is None:
            # Of a release before Queens, or lost: Cinder would take that of
            # the volume, and delete it with the backup.
            backup.encryption_key_id = self._store(key)
            backup.save()
        meta = json.loads(volume_meta)
        base = meta['volume-base-metadata']
        base['volume_type_id'] = volume.volume_type_id
        if origin.key_id != volume.encryption_key_id:
            # Cinder gives the target this id until it has made a key for it.
            # If that fails, the target is deleted, and its key with it: that
            # of the original volume. So it is the id of no key.
            base['encryption_key_id'] = str(uuid.uuid4())
        return json.dumps(meta)

    def _check_type(self, volume: Any, own: dict[str, Any] | None,
                    wanted: dict[str, Any] | None) -> None:
        """Refuse a target of a type with other parameters.

        :raises Unfit: naming the type that is needed
        """
        if own is not None and (wanted is None or _equal(own, wanted)):
            if wanted is None:
                LOG.warning('Nothing tells which type of volume backup %(id)s '
                            'needs. It is restored to one of the type '
                            '%(type)s.',
                            {'id': self._backup_id, 'type': own['type']})
            return
        use = 'an encrypted type'
        if wanted:
            found = self._equal_type(wanted)
            use = (f'type {found[:40]}' if found else
                   f'a new type like {str(wanted["type"])[:40]}')
            use = f'{use} ({_text(wanted)})'
        mine = ('is of a type that does not encrypt' if own is None else
                f'is encrypted with {_text(own)}')
        raise Unfit(f'restore to a volume of {use}: volume {volume.id} '
                    f'{mine}', volume.id, self._backup_id)
