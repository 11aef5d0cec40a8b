# SPDX-License-Identifier: Apache-2.0

"""The contract of records that can be trusted, on any kind of store.

Damage is done to the real store, and undone: the same record must import
then, and restore bit for bit.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import time
from typing import Any
import uuid

from cinder import exception
from oslo_serialization import base64
from oslo_serialization import jsonutils

from backup_stores import base as stores_base
from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.contract import recovery

_INVERTED = bytes(255 - byte for byte in range(256))


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happens to a backup on its store for a while.

    :ivar name: for people
    :ivar level: the lowest level that must find it
    :ivar happens: makes a context in which it has happened; its value are
        the texts of which the reason of a failed import must have one, any
        text when there are none
    :ivar after_import: the same for a failed restore; None if they are the
        same texts
    :ivar export_fails: whether an export must end in an error, too
    :ivar restore_may_succeed: whether a restore may be right all the same
    :ivar restore_succeeds: whether it must be
    :ivar silent: whether the store does not answer
    """

    name: str
    level: str
    happens: Callable[[], contextlib.AbstractContextManager[Sequence[str]]]
    after_import: Sequence[str] | None = None
    export_fails: bool = False
    restore_may_succeed: bool = False
    restore_succeeds: bool = False
    silent: bool = False


class Records:
    """Steps of the tests of records."""

    #: The errors that a restore may raise when it must not succeed.
    errors_of_restore: tuple[type[Exception], ...] = (
        exception.InvalidBackup,)

    def level(self: Any, level: str) -> None:
        self.cinder.configure(**{f'{options.GROUP}__level': level})

    def assert_names(self: Any, parts: Sequence[str], reason: str,
                     name: Any = '') -> None:
        """The reason has one of some texts, if there are any."""
        self.assertTrue(not parts or any(part in reason for part in parts),
                        f'{name}: none of {parts} is in: {reason}')

    def refused(self: Any, record: dict[str, str], backup: Any,
                parts: str | Sequence[str] = (), name: Any = '') -> None:
        """The import ends in an error whose reason names the damage.

        :param parts: the text that the reason must have, or some of which it
            must have one
        :param name: the damage, or another fault
        """
        err = self.rejected(
            f'{name or "a wrong record"}, at level '
            f'{environment.CONF[options.GROUP].level}: the import',
            self.cinder.import_record, record)
        row = self.cinder.backup(backup.id)
        self.assertEqual('error', row.status, name)
        self.assert_names([parts] if isinstance(parts, str) else parts,
                          row.fail_reason, name)
        self.assertLessEqual(len(row.fail_reason), 255)
        self.assertIn(row.fail_reason, str(err))
        self.cinder.lose_row(backup.id)

    def rejected(self: Any, what: str, function: Callable[..., Any],
                 *args: Any, errors: Any = exception.InvalidBackup
                 ) -> Exception:
        """An import, an export or a restore ends in an error.

        :param what: the fault, and what is done in spite of it
        :param errors: the classes of the errors that are expected
        :returns: the error
        """
        try:
            answer = function(*args)
        except errors as err:
            return err
        if isinstance(answer, bytes):
            done = f'restored {len(answer)} bytes'
        else:
            status = getattr(answer, 'status', None)
            done = f'made the backup {status}' if status else 'succeeded'
        raise self.failureException(
            f'{what} had to end in an error, and {done}')

    def not_restored(self: Any, what: str, backup_id: str,
                     volume: Any = None) -> Exception:
        """A restore ends in an error."""
        return self.rejected(f'{what}: the restore', self.cinder.restore,
                             backup_id, volume,
                             errors=self.errors_of_restore)

    def edited(self: Any, record: dict[str, str], driver_info: Any = ...,
               **values: Any) -> dict[str, str]:
        """A record with other fields.

        :param driver_info: its new fields, None to leave it out
        """
        fields = jsonutils.loads(base64.decode_as_text(
            record['backup_url']))
        if driver_info is None:
            del fields['driver_info']
        elif driver_info is not ...:
            fields['driver_info'].update(driver_info)
        fields.update(values)
        return {**record, 'backup_url': base64.encode_as_text(
            jsonutils.dump_as_bytes(fields))}

    def imports(self: Any, record: dict[str, str], name: Any = '') -> None:
        imported = self.cinder.import_record(record)
        self.assertEqual('available', imported.status, name)
        self.assertIsNone(imported.fail_reason)


class RecordContract(Records, recovery.RecoveryContract):
    """Recovery, and records that can be trusted."""

    #: Seconds within which an import or a restore must end while the store
    #: does not answer.
    in_time = 10.0
    #: Whether level presence may find what only level content has to.
    early = False
    #: Fields of driver_info that are for people, or that may be left out.
    not_compared: tuple[str, ...] = ('location', 'driver', 'snapshot_id',
                                     'parent_id', 'parents')

    def events(self: Any, backups: list[Any], other: list[Any]
               ) -> Iterator[Event]:
        """The events that a driver must find in a chain's newest backup.

        :param backups: the chain, the full backup first
        :param other: another chain like it
        """
        raise NotImplementedError

    def hostile(self: Any, backup: Any, other: Any
                ) -> list[tuple[str, dict[str, Any]]]:
        """Fields that must be refused, each after the reason's text."""
        raise NotImplementedError

    @contextlib.contextmanager
    def damaged(self: Any, damage: stores_base.Damage, backup: Any,
                other: Any = None) -> Iterator[Sequence[str]]:
        """Damage a backup for a while.

        :param other: another backup, of another content
        :returns: texts of which a reason must have one
        """
        plan = self.objects.plan(damage, backup, other)
        with self.objects.damaged(plan):
            yield plan.names

    @contextlib.contextmanager
    def _in_time(self: Any, event: Event) -> Iterator[None]:
        start = time.monotonic()
        yield
        if event.silent:
            self.assertLess(time.monotonic() - start, self.in_time,
                            event.name)

    def contents(self: Any) -> list[bytes]:
        """The content of a volume at each backup of a chain."""
        first = base.text(3 * self.chunk)
        return [first, self.changed(first, 1, 6)]

    def backups(self: Any) -> tuple[list[Any], list[bytes], list[Any]]:
        """A chain, its contents, and a chain of another volume like it."""
        contents = self.contents()
        # Like it, so that its plain chunks have the same lengths.
        other = self.chain(*(one.translate(_INVERTED) for one in contents))
        return self.chain(*contents), contents, other

    def test_every_damage(self: Any) -> None:
        """Found at its level and named; undone, it imports again."""
        self.each_event()

    def each_event(self: Any) -> None:
        backups, contents, other = self.backups()
        top = backups[-1]
        record = self.cinder.export(top)
        for event in self.events(backups, other):
            with event.happens() as parts:
                if event.export_fails:
                    # No record may claim what no restore can keep.
                    self.rejected(f'{event.name}: the export',
                                  self.cinder.export, top)
                self.cinder.lose_row(top.id)
                for level in (*self.levels[1:], 'record'):
                    self.level(level)
                    self._import(event, level, record, top, parts)
                self.restore_damaged(
                    event, top, parts if event.after_import is None
                    else event.after_import, contents[-1])
                self.cinder.lose_row(top.id)
            self.level(self.levels[-1])
            self.imports(record, event.name)
        self.assert_restores(top, contents[-1])

    def _import(self: Any, event: Event, level: str, record: dict[str, str],
                backup: Any, parts: Sequence[str]) -> None:
        with self._in_time(event):
            if level == 'record':
                self.imports(record, event.name)
            elif (level, event.level) != ('presence', 'content'):
                self.refused(record, backup, parts, event.name)
            elif self.early:
                # May be found so early, and need not be.
                with contextlib.suppress(exception.InvalidBackup):
                    self.cinder.import_record(record)
                self.cinder.lose_row(backup.id)
            else:
                self.imports(record, event.name)
                self.cinder.lose_row(backup.id)

    def restore_damaged(self: Any, event: Event, backup: Any,
                        parts: Sequence[str], content: bytes) -> None:
        """Damaged after its import, or imported without a look."""
        if event.restore_succeeds:
            self.assert_restores(backup, content)
            return
        for volume in (None, self.cinder.create_volume(b'old')):
            with self._in_time(event):
                try:
                    restored = self.cinder.restore(backup.id, volume)
                except self.errors_of_restore as err:
                    self.assert_names(parts, str(err), event.name)
                    continue
            if not (event.restore_may_succeed and
                    content == restored.ljust(len(content), b'\0')):
                self.fail(f'{event.name}: the restore had to end in an '
                          f'error, and restored {len(restored)} bytes')

    def test_no_false_alarm_at_any_level(self: Any) -> None:
        """Undamaged backups import, whatever they look like."""
        backups = []
        for algorithm in self.compressions or (None,):
            if algorithm is not None:
                self.cinder.configure(
                    backup_compression_algorithm=algorithm)
            backups += self.chain(*self.generations())
            backups += self.chain(base.text(3), base.text(3), b'abc')
            backups += self.chain(bytes(self.chunk + 512))
            backups += self.chain(base.text(self.block),
                                  snapshot_id=str(uuid.uuid4()))
        records = [self.cinder.export(one) for one in backups]
        for level in self.levels:
            self.level(level)
            for one in backups:
                self.cinder.lose_row(one.id)
            # Children first: their parents have no rows then.
            for record in reversed(records):
                self.imports(record)

    def test_records_that_contradict_the_storage(self: Any) -> None:
        """The edited field of the row or driver_info is named."""
        backups, contents, other = self.backups()
        full = backups[0]
        record = self.cinder.export(full)
        self.cinder.lose_row(full.id)
        for level in self.levels:
            self.level(level)
            for part, values in self.hostile(full, other[0]):
                self.refused(self.edited(record, **values), full, part,
                             f'a record with {values}')
                for edited, name in self.contradictions(level, full, record,
                                                        values):
                    self.refused(edited, full, name=name)
        self.imports(record)
        self.assert_restores(full, contents[0])

    def contradictions(self: Any, level: str, backup: Any,
                       record: dict[str, str], values: dict[str, Any]
                       ) -> Iterator[tuple[dict[str, str], str]]:
        """More records with hostile values, in driver_info, and names."""
        return iter(())

    def test_rows_that_name_what_is_not_theirs(self: Any) -> None:
        """Forced into the database, neither restore nor delete obey."""
        (full, *children), contents, (other, *_) = self.backups()
        record = self.cinder.export(full)
        for one in reversed(children):
            # A parent need not be deleted.
            self.cinder.delete(one.id)
        for _, values in self.hostile(full, other):
            before = self.snapshot(other)
            self._force(full, values)
            try:
                restored = self.cinder.restore(full.id)
            except self.errors_of_restore:
                pass
            else:
                # The driver found its own backup nevertheless.
                self.assertEqual(contents[0].rstrip(b'\0'),
                                 restored.rstrip(b'\0'), values)
            self.delete_and_put_back(full, values)
            self.cinder.lose_row(full.id)
            self.assertEqual(before, self.snapshot(other), values)
            self.imports(record)
        self.assert_restores(full, contents[0])
        self.assert_restores(other, contents[0].translate(_INVERTED))

    def delete_and_put_back(self: Any, backup: Any, values: dict[str, Any]
                            ) -> None:
        """Delete a backup by its forced row, and restore its objects.

        :param values: the fields that were forced into the row
        """
        raise NotImplementedError

    def _force(self: Any, backup: Any, values: dict[str, Any]) -> None:
        row = self.cinder.backup(backup.id)
        row.update(values)
        row.save()

    def test_driver_info_that_is_damaged(self: Any) -> None:
        """A newer version, a lost field, a field of another type."""
        backup, = self.chain(base.text(self.chunk))
        record = self.cinder.export(backup)
        info = self.driver_info(backup)
        self.cinder.lose_row(backup.id)
        self.refused(self.edited(record, {'version': 99}), backup, 'version',
                     'a driver_info of version 99')
        for field, value in info.items():
            for part, wrong in self.wrong_values(field, value):
                self.refused(self.edited(record, {field: wrong}), backup,
                             part, f'a driver_info with {field} {wrong!r}')
        self.imports(record)

    def wrong_values(self: Any, field: str, value: Any
                     ) -> Iterator[tuple[str, Any]]:
        """Wrong values of a field, each after the reason's text."""
        if field in self.not_compared:
            return
        wrong: Any
        for wrong in (1.5, True, ['x'], {}, -1, 'x'):
            if (type(wrong), wrong) != (type(value), value):
                yield '', wrong

    def test_delete_spares_what_a_child_needs(self: Any) -> None:
        """Be the child of another project, or its row lost.

        The delete is refused and names the child, or takes nothing from it.
        """
        self.needs('incremental')
        contents = self.contents()
        backups = self.chain(*contents)
        full, child = backups[0], backups[1]
        records = [self.cinder.export(one) for one in backups]
        row = self.cinder.backup(child.id)
        row.project_id = uuid.uuid4().hex
        row.save()
        left = self._delete_parent(full, child, records[0])
        for one in backups[1:]:
            self.cinder.lose_row(one.id)
        if left:
            self._delete_parent(full, child, records[0])
        for record in records[1:]:
            self.imports(record)
        for one, content in zip(backups[1:], contents[1:], strict=True):
            self.assert_restores(one, content)
        for one in reversed(backups if left else backups[1:]):
            self.cinder.delete(one.id)
            self.assertEqual([], self.remains(one))

    def _delete_parent(self: Any, parent: Any, child: Any,
                       record: dict[str, str]) -> bool:
        """Delete a parent; returns True if it was refused, and is back."""
        try:
            self.cinder.delete(parent.id)
        except exception.InvalidBackup as err:
            self.assertIn(child.id, str(err))
            self.cinder.lose_row(parent.id)
            self.imports(record)
            return True
        return False

    def test_volumes_of_another_cloud(self: Any) -> None:
        """A restart of cinder-backup would delete them by their ids."""
        backup, = self.chain(base.text(self.chunk))
        fields = ('temp_volume_id', 'temp_snapshot_id', 'restore_volume_id')
        record = self.edited(self.cinder.export(backup), **{
            field: str(uuid.uuid4()) for field in fields})
        self.cinder.lose_row(backup.id)
        self.imports(record)
        row = self.cinder.row(backup.id)
        self.assertEqual([None] * 3, [row[field] for field in fields])

    def test_record_without_driver_info(self: Any) -> None:
        """By one option: refused, or found by its id and verified."""
        backups, _, other = self.backups()
        child = backups[-1]
        record = self.edited(self.cinder.export(child), None)
        self.cinder.lose_row(child.id)
        self.refused(record, child, 'without_driver_info',
                     'a record without driver_info')
        self.cinder.configure(
            **{f'{options.GROUP}__without_driver_info': 'accept'})
        self.imports(record)
        self.cinder.lose_row(child.id)
        self.without_driver_info(record, backups, other)

    def without_driver_info(self: Any, record: dict[str, str],
                            backups: list[Any], other: list[Any]) -> None:
        """Test that accepted records are verified; the row is deleted."""
