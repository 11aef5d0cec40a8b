# SPDX-License-Identifier: Apache-2.0

"""The hooks around a record, for a driver of any kind.

The blueprint cinder-backup-recover-api asked a driver for two hooks: one
that says in the exported record where the backup is, and one, import verify,
that proves on import that it exists and can be restored. What they have in
common for all drivers is here; :mod:`reference_drivers.hooks` has the rest
for chunked drivers, :mod:`reference_drivers.ceph` for another kind.
"""

from collections.abc import Callable
from typing import Any

from cinder import coordination
from cinder.objects import fields
from cinder.volume import volume_utils
from oslo_config import cfg
from oslo_log import log as logging

from reference_drivers import keys
from reference_drivers import options
from reference_drivers.verification import errors
from reference_drivers.verification import restored
from reference_drivers.verification import salvage
from reference_drivers.verification import verifier

LOG = logging.getLogger(__name__)
CONF = cfg.CONF
options.register(CONF)

# As much as the column has; MySQL refuses a longer text, and the backup
# would stay in status creating.
_REASON = 255


# Fields of what existed while the backup was made or restored. A service that
# starts removes these volumes and snapshots of its own cloud by their ids.
_TEMPORARY = frozenset({'temp_volume_id', 'temp_snapshot_id',
                        'restore_volume_id'})


class ImportVerifyMixin:
    """Hooks in front of any driver of Cinder.

    A driver gives :meth:`export_record`, :meth:`import_verify`,
    :meth:`_compare` and :meth:`verify`.
    """

    #: A name for the kind of store, part of driver_info.
    store_kind = 'unknown'

    context: Any
    db: Any

    def export_record(self, backup: Any) -> dict[str, Any]:
        """Describe a backup in its record.

        :returns: where it is and what it must look like
        :raises Problem: it could not be restored, so that no record should
            claim it can
        """
        raise NotImplementedError

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        """Verify a backup that is to be imported.

        :returns: the model update: the fields of the row as verified, empty
            where nothing could be; and ``volume_meta``, what the storage
            says of the volume, where it was read
        :raises Problem: what is wrong
        """
        raise NotImplementedError

    def check_for_setup_error(self) -> None:
        """Check the configuration when the service starts.

        :raises CinderException: an option of the hooks, or one of the
            driver, is wrong; Cinder does not use the driver then
        """
        keys.recipients()
        super().check_for_setup_error()  # type: ignore[misc]

    def connect(self) -> None:
        """Make ready what Cinder makes ready for the requests of users only.

        Called once before backups are verified outside of a request.

        :raises CinderException: it cannot be, saying what is missing
        """

    def check_access(self, backup: Any) -> None:
        """Refuse a backup that cannot be reached, though it may be whole.

        :raises InvalidBackup: another user would have to ask
        """

    def verify(self, backup: Any, level: str, *,
               part: tuple[int, int] = (1, 1), budget: int | None = None,
               readers: int | None = None,
               should_stop: Callable[[], str | None] | None = None,
               progress: Callable[[int, int], None] | None = None
               ) -> verifier.Report:
        """Verify a backup by its row, outside of an import.

        :param part: n and t: read the n-th of t parts of the content
        :param budget: how many bytes to read at most
        :param readers: how many read at a time, by default as the option
        :param should_stop: asked once a second; a reason to stop, or None
        :param progress: called with the bytes read and all bytes
        :raises TimedOut: the store does not answer
        :raises Stopped: the verification was told to stop
        """
        raise NotImplementedError

    def prove(self, backup: Any, volume: restored.Volume,
              driver_info: dict[str, Any] | None = None,
              rest: bool = True) -> restored.Proof:
        """Compare a restored volume with what is known of its backup.

        :param driver_info: of the backup's record, which is trusted; None:
            what the storage says is
        :param rest: what is after the end of the backup has to be zeros
        :raises NothingToCompare: nothing says what the volume must be
        :raises Problem: the volume or the storage cannot be read, or the
            record is wrong
        """
        raise restored.NothingToCompare(
            'this driver has nothing to compare a volume with',
            backup_id=backup.id)

    def salvage(self, backup: Any, target: salvage.Target,
                driver_info: dict[str, Any] | None = None,
                progress: Callable[[int, int], None] | None = None
                ) -> salvage.Salvaged:
        """Write all that is good of a damaged backup.

        :param backup: its row, or what a record says of it
        :param driver_info: of the backup's record, which is trusted; None:
            what the storage says is
        :param progress: called with the bytes read and all bytes
        :raises Problem: nothing of it can be told to be good, the storage
            does not answer, or the target cannot be written
        """
        raise errors.Unreadable(
            'this driver has no checksums of parts of a backup',
            backup_id=backup.id)

    def _compare(self, backup_id: str, values: dict[str, Any],
                 verified: dict[str, Any]) -> None:
        """Compare a record's fields with what was verified.

        :raises Problem: they contradict each other
        """
        raise NotImplementedError

    def import_record(self, backup: Any, driver_info: Any) -> None:
        """Prove that a backup exists before its row is available.

        The manager calls this before it copies the record's fields onto the
        row, ignores what is returned and does not ask again. So the fields
        are compared with what was verified at the moment when they are
        copied.

        :param backup: the new row, with just an id and a project
        :raises Problem: what is wrong; it becomes the fail_reason
        """
        try:
            verified = self.import_verify(backup, driver_info)
            encryption = (driver_info.get('encryption')
                          if isinstance(driver_info, dict) else None)
            keys.check(encryption, backup.id)
        except errors.Problem as err:
            raise self._clipped(err) from err
        self._compare_on_update(backup, verified, encryption)

    def _compare_on_update(self, backup: Any, verified: dict[str, Any],
                           encryption: dict[str, Any] | None) -> None:
        """Compare the record with what was verified when it is applied.

        The record's fields would otherwise win over what was verified: a
        record with a good driver_info and another backup's container would
        be imported, and later restored or deleted.

        The key is made last: a refused record leaves none, and a row that
        cannot be saved does not either.
        """
        apply = backup.update
        volume_meta = verified.pop('volume_meta', None)
        asked = keys.Keys(self.context, backup.id)
        own = backup.encryption_key_id

        def update(values: dict[str, Any]) -> Any:
            del backup.update
            try:
                self._compare(backup.id, values, verified)
                key_id = asked.adopt(values.get('encryption_key_id'),
                                     encryption, volume_meta, own)
            except errors.Problem as err:
                clipped = self._clipped(err)
                # The manager expects no error any more at this point.
                volume_utils.update_backup_error(backup, str(clipped))
                raise clipped from err
            values.update(dict.fromkeys(_TEMPORARY & values.keys()))
            if key_id is None:
                apply(values)
                return
            values['encryption_key_id'] = key_id
            try:
                apply(values)
                backup.save()
            except BaseException:
                if key_id != own:
                    asked.delete(key_id)
                raise

        backup.update = update

    def _check_volume(self, backup: Any, volume: Any,
                      volume_meta: str | bytes | None
                      ) -> str | bytes | None:
        """Check the target of a restore and the key, before it writes.

        The reason of a refusal is for the user to act on, and Cinder's
        message has none. So the row of the backup has it.

        :param volume: the row of the target
        :param volume_meta: of the volume that was backed up
        :returns: the metadata to put on the target
        :raises Problem: what is wrong
        """
        try:
            found = keys.Keys(self.context, backup.id).check_restore(
                backup, volume, volume_meta)
        except errors.Problem as err:
            backup.fail_reason = str(self._clipped(err))
            backup.save()
            raise
        if backup.fail_reason:
            backup.fail_reason = None
            backup.save()
        return found

    @staticmethod
    def _need_driver_info(backup: Any) -> None:
        """Refuse a record without driver_info, unless that is accepted."""
        if CONF[options.GROUP].without_driver_info == 'refuse':
            raise errors.WrongRecord(
                'the record has no driver_info to verify the backup by; see '
                f'option [{options.GROUP}]without_driver_info',
                'driver_info', backup.id)

    @staticmethod
    def _check_parent(backup_id: str, values: dict[str, Any]) -> None:
        if values.get('parent_id') == backup_id:
            raise errors.BrokenChain(
                f'the record says that backup {backup_id} is its own parent',
                'parent_id', backup_id)

    @staticmethod
    def _check_size(backup_id: str, values: dict[str, Any]) -> None:
        size = values.get('size')
        if not isinstance(size, int) or size < 1:
            raise errors.WrongRecord(
                f'the record says size {str(size)[:20]}', 'size', backup_id)

    @staticmethod
    def _stop_of(backup: Any) -> Callable[[], str | None]:
        """A condition that ends a verification whose import was cancelled."""
        # A service ends its coordination when it is told to stop, and then
        # waits for what it still does. Without one there is no telling.
        service = coordination.COORDINATOR.started

        def stop() -> str | None:
            if service and not coordination.COORDINATOR.started:
                return 'the service stops'
            with backup.as_read_deleted():
                backup.refresh()
            if backup.status != fields.BackupStatus.CREATING:
                return f'the backup became {backup.status}'
            return None

        return stop

    @staticmethod
    def _clipped(err: errors.Problem) -> errors.Problem:
        """The same problem, so short that it fits into the row."""
        text = str(err)
        if len(text) <= _REASON:
            return err
        room = _REASON - (len(text) - len(err.what)) - 3
        return type(err)(f'{err.what[:room]}...', err.name, err.backup_id,
                         err.detail)
