# SPDX-License-Identifier: Apache-2.0
"""Drivers whose hooks of export and import do something wrong."""

import time
from typing import Any
import unicodedata

from cinder import objects
from oslo_config import cfg

from mutants import catalogue
from reference_drivers import default
from reference_drivers import driver_info as driver_infos
from reference_drivers import hooks
from reference_drivers.verification import errors
from reference_drivers.verification import verifier


class _Loses(default.DefaultBackupDriver):
    """Leaves a field as it was when the record is copied onto the row."""

    field: str

    def import_record(self, backup: Any, driver_info: Any) -> None:
        super().import_record(backup, driver_info)
        compare = backup.update

        def update(values: dict[str, Any]) -> None:
            before = getattr(backup, self.field)
            compare(values)
            setattr(backup, self.field, before)

        backup.update = update


@catalogue.mutant('any_rows_lost_and_imported_in_any_order',
                  resembles='LP 1455043, of Cinder')
class LosesVolumeId(_Loses):
    """An imported backup is of no volume."""

    field = 'volume_id'


@catalogue.mutant('any_rows_lost_and_imported_in_any_order',
                  resembles='LP 1476416, of Cinder')
class LosesParentId(_Loses):
    """An imported incremental backup has no parent."""

    field = 'parent_id'


@catalogue.mutant('any_rows_lost_and_imported_in_any_order')
class LosesDescription(_Loses):
    """An imported backup has no description."""

    field = 'display_description'


@catalogue.mutant('volumes_of_another_cloud')
class TakesTemporaryVolume(default.DefaultBackupDriver):
    """The id of another cloud's temporary volume is imported."""

    def import_record(self, backup: Any, driver_info: Any) -> None:
        super().import_record(backup, driver_info)
        apply = backup.update

        def update(values: dict[str, Any]) -> None:
            taken = values.get('temp_volume_id')
            apply(values)
            backup.temp_volume_id = taken

        backup.update = update


@catalogue.mutant('no_backup_on_a_damaged_parent')
class TrustsParents(default.DefaultBackupDriver):
    """An incremental backup is made on a parent that lacks a chunk."""

    def backup(self, backup: Any, volume_file: Any,
               backup_metadata: bool = True) -> Any:
        return super(hooks.VerifyMixin, self).backup(
            backup, volume_file, backup_metadata)


@catalogue.mutant('containers_that_users_name')
class TakesAnyContainer(default.DefaultBackupDriver):
    """A backup is made in a container that no import accepts."""

    def _check_container(self, container: str, backup_id: str) -> None:
        pass


@catalogue.mutant('any_rows_lost_and_imported_in_any_order')
class LosesSize(_Loses):
    """An imported backup has no size."""

    field = 'size'


@catalogue.mutant('any_rows_lost_and_imported_in_any_order')
class LosesObjectCount(_Loses):
    """An imported backup has no object_count."""

    field = 'object_count'


@catalogue.mutant('any_rows_lost_and_imported_in_any_order')
class LosesPlace(_Loses):
    """An imported backup has no service_metadata to find its objects by."""

    field = 'service_metadata'


@catalogue.mutant('any_rows_lost_and_imported_in_any_order')
class LosesName(_Loses):
    """An imported backup has no name."""

    field = 'display_name'


@catalogue.mutant('backup_of_a_snapshot',
                  'any_rows_lost_and_imported_in_any_order')
class ComposesNames(default.DefaultBackupDriver):
    """The letters of names and descriptions are composed on import."""

    def import_record(self, backup: Any, driver_info: Any) -> None:
        super().import_record(backup, driver_info)
        apply = backup.update

        def update(values: dict[str, Any]) -> None:
            for field in 'display_name', 'display_description':
                if values.get(field):
                    values[field] = unicodedata.normalize('NFC',
                                                          values[field])
            apply(values)

        backup.update = update


@catalogue.mutant('record_has_no_secret')
class TellsSecret(default.DefaultBackupDriver):
    """driver_info has a secret of the configuration."""

    option = cfg.StrOpt('backup_mutant_password', secret=True)

    def export_record(self, backup: Any) -> dict[str, Any]:
        cfg.CONF.register_opt(self.option)
        cfg.CONF.set_override(self.option.name, 'of the storage')
        return {**super().export_record(backup),
                'password': cfg.CONF[self.option.name]}


@catalogue.mutant('backup_of_a_snapshot')
class LosesSnapshotId(_Loses):
    """An imported backup of a snapshot is one of the volume."""

    field = 'snapshot_id'


@catalogue.mutant('backup_of_a_snapshot')
class DropsSnapshotId(default.DefaultBackupDriver):
    """A field is dropped from the record: the id of the snapshot."""

    def export_record(self, backup: Any) -> dict[str, Any]:
        return {**super().export_record(backup), 'snapshot_id': None}


@catalogue.mutant('export_and_import_change_nothing_on_the_store')
class ExportChangesRow(default.DefaultBackupDriver):
    """The export changes the row of the backup."""

    def export_record(self, backup: Any) -> dict[str, Any]:
        backup.display_description = 'exported'
        backup.save()
        return super().export_record(backup)


@catalogue.mutant('export_and_import_change_nothing_on_the_store')
class ExportTellsTime(default.DefaultBackupDriver):
    """The second export of a backup gives another record."""

    def export_record(self, backup: Any) -> dict[str, Any]:
        return {**super().export_record(backup), 'exported': time.time_ns()}


@catalogue.mutant('record_is_bounded_json')
class InfoIsNoJson(default.DefaultBackupDriver):
    """driver_info has a number that JSON does not have."""

    def export_record(self, backup: Any) -> dict[str, Any]:
        return {**super().export_record(backup), 'ratio': float('nan')}


@catalogue.mutant('record_is_bounded_json')
class CopiesMetadata(default.DefaultBackupDriver):
    """driver_info has a copy of the metadata object in it."""

    def export_record(self, backup: Any) -> dict[str, Any]:
        store = self.get_store()
        return {**super().export_record(backup), 'copies': [
            store.read(backup.container, backup.service_metadata + one
                       ).decode() for one in ('_metadata', '_sha256file')]}


@catalogue.mutant('driver_info_of_100000_chunks')
class ListsChunks(default.DefaultBackupDriver):
    """driver_info lists the chunks, and grows with the volume."""

    def export_record(self, backup: Any) -> dict[str, Any]:
        prefix = backup.service_metadata
        return {**super().export_record(backup), 'chunks': [
            [one.name[len(prefix):], one.size] for one in
            self.get_store().entries(backup.container, prefix)]}


@catalogue.mutant('driver_info_stays_small')
class ListsParents(default.DefaultBackupDriver):
    """driver_info lists all parents, and grows with the chain."""

    def export_record(self, backup: Any) -> dict[str, Any]:
        info = super().export_record(backup)
        report = self._verifier(self._find_row()).verify(
            self._target(backup), 'presence')
        return {**info, 'parents': [
            [one.backup_id, one.container, one.prefix,
             driver_infos.Described.of(one, 1).total]
            for one in report.chain[1:]]}


@catalogue.mutant('every_damage',
                  'every_damage_of_compressed_chunks')
class ExportsWhatIsDamaged(default.DefaultBackupDriver):
    """A record is exported for a backup that lacks a chunk."""

    def export_record(self, backup: Any) -> dict[str, Any]:
        report = self._verifier(self._find_row()).verify(
            self._target(backup), 'presence')
        for problem in report.problems:
            if not report.chain or not isinstance(problem, errors.Missing):
                raise self._clipped(problem)
        return driver_infos.make(backup, report, self.get_store(),
                                 self.store_kind)


@catalogue.mutant('every_damage',
                  'every_damage_of_compressed_chunks',
                  'records_that_contradict_the_storage',
                  'driver_info_that_is_damaged',
                  'record_without_driver_info',
                  resembles="all drivers of Cinder's own: their import asks "
                            "nothing")
class ImportAsksNothing(default.DefaultBackupDriver):
    """The import ignores driver_info and the storage."""

    def import_record(self, backup: Any, driver_info: Any) -> None:
        pass


@catalogue.mutant('driver_info_that_is_damaged')
class ReadsAnyVersion(default.DefaultBackupDriver):
    """A driver_info of a version that is not known is read as a known one."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        if driver_info:
            driver_info = {**driver_info, 'version': driver_infos.VERSION}
        return super().import_verify(backup, driver_info)


@catalogue.mutant('driver_info_that_is_damaged')
class BelievesDigestOfChain(default.DefaultBackupDriver):
    """The digest of the whole chain is exported and not compared."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        report = super().import_verify
        try:
            return report(backup, driver_info)
        except errors.BrokenChain as err:
            if err.detail != verifier.CHAIN_DIGEST:
                raise
            return driver_infos.model_update(driver_info, None)


@catalogue.mutant('records_that_contradict_the_storage',
                  resembles="Cinder's manager: it ignores what an import "
                            "hook returns and copies the record")
class BelievesRecord(default.DefaultBackupDriver):
    """The fields of the record are not compared with what was verified."""

    def _compare(self, backup_id: str, values: dict[str, Any],
                 verified: dict[str, Any]) -> None:
        pass


@catalogue.mutant('record_without_driver_info')
class NeedsNoInfo(default.DefaultBackupDriver):
    """A record without driver_info is accepted against the option."""

    @staticmethod
    def _need_driver_info(backup: Any) -> None:
        pass


@catalogue.mutant('every_damage',
                  'every_damage_of_compressed_chunks')
class NamesNothing(default.DefaultBackupDriver):
    """A fail_reason does not say which object is damaged."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        try:
            return super().import_verify(backup, driver_info)
        except errors.Problem as err:
            raise type(err)('the backup is damaged', err.name,
                            err.backup_id) from err


@catalogue.mutant('export_and_import_change_nothing_on_the_store')
class ImportLeavesMark(default.DefaultBackupDriver):
    """The import writes to the store."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        verified = super().import_verify(backup, driver_info)
        with self.get_object_writer(verified['container'],
                                    'imported') as writer:
            writer.write(b'imported')
        return verified


@catalogue.mutant('records_that_contradict_the_storage')
class RemovesWhatItRefuses(default.DefaultBackupDriver):
    """The objects of a backup are removed when its import is refused."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        try:
            return super().import_verify(backup, driver_info)
        except errors.WrongRecord:
            place = self.get_store().locate(backup.id)
            for one in list(self.get_store().entries(*place)
                            if place else ()):
                self.delete_object(place[0], one.name)  # type: ignore[index]
            raise


@catalogue.mutant('no_false_alarm_at_any_level')
class WantsParentFirst(default.DefaultBackupDriver):
    """False alarm: the parent of the backup has no row yet."""

    def import_verify(self, backup: Any, driver_info: Any
                      ) -> dict[str, Any]:
        verified = super().import_verify(backup, driver_info)
        if verified.get('parent_id'):
            objects.Backup.get_by_id(self.context, verified['parent_id'])
        return verified
