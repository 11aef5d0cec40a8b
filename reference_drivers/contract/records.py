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

"""What a record must prove, for a driver that is not chunked.

A vendor says what is a damage of the store, and what is a wrong record;
:class:`reference_drivers.contract.trust.TrustContract` knows that of every
chunked driver.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import time
from typing import Any
import uuid

from cinder import exception
from oslo_serialization import base64
from oslo_serialization import jsonutils

from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.contract import recovery


class Records:
    """What a test of records does again and again."""

    #: What a restore may raise that must not succeed.
    errors_of_restore: tuple[type[Exception], ...] = (
        exception.InvalidBackup,)

    def level(self: Any, level: str) -> None:
        self.cinder.configure(**{f'{options.GROUP}__level': level})

    def refused(self: Any, record: dict[str, str], backup: Any,
                part: str = '', name: Any = '') -> None:
        """The import ends in an error whose reason names the damage.

        :param part: what the reason must name
        :param name: the damage, or what else is wrong
        """
        err = self.rejected(
            f'{name or "a wrong record"}, at level '
            f'{environment.CONF[options.GROUP].level}: the import',
            self.cinder.import_record, record)
        row = self.cinder.backup(backup.id)
        self.assertEqual('error', row.status, name)
        self.assertIn(part, row.fail_reason, name)
        self.assertLessEqual(len(row.fail_reason), 255)
        self.assertIn(row.fail_reason, str(err))
        self.cinder.lose_row(backup.id)

    def rejected(self: Any, what: str, function: Callable[..., Any],
                 *args: Any, errors: Any = exception.InvalidBackup
                 ) -> Exception:
        """What is called ends in an error.

        :param what: what is wrong, and what is done in spite of it
        :param function: an import, an export or a restore
        :param errors: the classes of errors that are one
        :returns: the error
        """
        try:
            answer = function(*args)
        except errors as err:
            return err
        if isinstance(answer, bytes):
            said = f'restored {len(answer)} bytes'
        else:
            status = getattr(answer, 'status', None)
            said = f'made the backup {status}' if status else 'succeeded'
        raise self.failureException(
            f'{what} had to end in an error, and {said}')

    def not_restored(self: Any, what: str, backup_id: str,
                     volume: Any = None) -> Exception:
        """A restore ends in an error."""
        return self.rejected(f'{what}: the restore', self.cinder.restore,
                             backup_id, volume,
                             errors=self.errors_of_restore)

    def edited(self: Any, record: dict[str, str], driver_info: Any = ...,
               **values: Any) -> dict[str, str]:
        """A record with other fields.

        :param driver_info: fields of it, None to leave it out
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
    """Recovery, and records that can be trusted, on any kind of store."""

    #: What :meth:`damaged` can do to the newest backup of a chain: the
    #: lowest level that must find it, and what the reason must name, with
    #: ``{id}`` and ``{parent}`` for the ids and ``{image}`` for what
    #: :meth:`named` says.
    damages: dict[str, tuple[str, str]] = {}
    #: Another name in the reason when the damage is done after the import.
    after_import: dict[str, str] = {}
    #: Damages after which a restore is right all the same.
    harmless: tuple[str, ...] = ()
    #: Damages that keep a store from answering, and within how many seconds
    #: an import or a restore must end then.
    silent: tuple[str, ...] = ()
    in_time = 10.0
    #: Whether level presence may find what only level content has to.
    early = False
    #: Fields of driver_info that are for people, or that may be left out.
    not_compared: tuple[str, ...] = ('location', 'driver', 'snapshot_id',
                                     'parent_id', 'parents')

    def damaged(self: Any, name: str, backup: Any, parent: Any
                ) -> contextlib.AbstractContextManager[None]:
        """Damage a backup, and put it back."""
        raise NotImplementedError

    def named(self: Any, backup: Any) -> str:
        """The name by which a reason must call the backup."""
        raise NotImplementedError

    def hostile(self: Any, backup: Any, other: Any
                ) -> list[tuple[str, dict[str, Any]]]:
        """Fields that must not be imported, and what the reason names."""
        raise NotImplementedError

    @contextlib.contextmanager
    def _in_time(self: Any, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        if name in self.silent:
            self.assertLess(time.monotonic() - start, self.in_time, name)

    def _contents(self: Any) -> list[bytes]:
        first = base.text(3 * self.chunk)
        return [first, self.changed(first, 1, 6)]

    def test_every_damage(self: Any) -> None:
        """Before the import and after it; undone, all is good again."""
        contents = self._contents()
        parent, backup = self.chain(*contents)
        record = self.cinder.export(backup)
        for name, (lowest, text) in self.damages.items():
            self.cinder.lose_row(backup.id)
            part, after = (one.format(id=backup.id, parent=parent.id,
                                      image=self.named(backup))
                           for one in (text, self.after_import.get(
                               name, text)))
            with self.damaged(name, backup, parent):
                for level in self.levels:
                    self.level(level)
                    with self._in_time(name):
                        if self.early and (level, lowest) == (
                                'presence', 'content'):
                            with contextlib.suppress(exception.InvalidBackup):
                                self.cinder.import_record(record)
                            self.cinder.lose_row(backup.id)
                        elif level == 'record' or (level, lowest) == (
                                'presence', 'content'):
                            self.imports(record, name)
                            self.cinder.lose_row(backup.id)
                        else:
                            self.refused(record, backup, part, name)
                self.level('record')
                self.imports(record, name)
                with self._in_time(name):
                    self.restore_damaged(name, backup, after, contents[1])
                self.cinder.lose_row(backup.id)
            self.imports(record, name)
        self.assert_restores(backup, contents[1])

    def restore_damaged(self: Any, name: str, backup: Any, part: str,
                        content: bytes) -> None:
        """A restore ends in an error, or it is harmless and right."""
        if name in self.harmless:
            self.assert_restores(backup, content)
            return
        err = self.not_restored(name, backup.id)
        self.assertIn(part, str(err), name)

    def test_no_false_alarm_at_any_level(self: Any) -> None:
        """Undamaged backups import, whatever they look like."""
        backups = [
            *self.chain(*self.generations()),
            *self.chain(base.text(3), base.text(3), b'abc'),
            *self.chain(bytes(self.chunk + 512)),
            *self.chain(base.text(self.block),
                        snapshot_id=str(uuid.uuid4()))]
        records = [self.cinder.export(one) for one in backups]
        for level in self.levels:
            self.level(level)
            for one in backups:
                self.cinder.lose_row(one.id)
            for record in reversed(records):
                self.imports(record)

    def test_records_that_contradict_the_storage(self: Any) -> None:
        """Refused at every level."""
        contents = self._contents()
        (full, _), (other, _) = (self.chain(*contents),
                                 self.chain(*reversed(contents)))
        record = self.cinder.export(full)
        self.cinder.lose_row(full.id)
        for part, values in self.hostile(full, other):
            for level in self.levels:
                self.level(level)
                self.refused(self.edited(record, **values), full, part,
                             f'a record with {values}')
        self.imports(record)
        self.assert_restores(full, contents[0])

    def test_rows_that_name_what_is_not_theirs(self: Any) -> None:
        """Forced into the database, neither restore nor delete obey."""
        contents = self._contents()
        (full, _), (other, _) = (self.chain(*contents),
                                 self.chain(*reversed(contents)))
        record = self.cinder.export(full)
        for _, values in self.hostile(full, other):
            before = self.snapshot(other)
            self._force(full, values)
            try:
                restored = self.cinder.restore(full.id)
            except self.errors_of_restore:
                pass
            else:
                # Found in spite of it, and its own.
                self.assertEqual(contents[0].rstrip(b'\0'),
                                 restored.rstrip(b'\0'), values)
            self.delete_and_put_back(full, values)
            self.cinder.lose_row(full.id)
            self.assertEqual(before, self.snapshot(other), values)
            self.imports(record)
        self.assert_restores(full, contents[0])
        self.assert_restores(other, contents[1])

    def delete_and_put_back(self: Any, backup: Any, values: dict[str, Any]
                            ) -> None:
        """Delete a backup by its forced row, and make it whole again.

        :param values: what was forced into the row
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
        for field in info:
            if field in self.not_compared:
                continue
            wrong: Any
            for wrong in (1.5, True, ['x'], {}, -1, 'x'):
                if (type(wrong), wrong) == (type(info[field]), info[field]):
                    continue
                self.refused(self.edited(record, {field: wrong}), backup, '',
                             f'a driver_info with {field} {wrong!r}')
        self.imports(record)

    def test_record_without_driver_info(self: Any) -> None:
        """By one option: refused, or looked for by its fields."""
        _, backup = self.chain(*self._contents())
        record = self.edited(self.cinder.export(backup), None)
        self.cinder.lose_row(backup.id)
        self.refused(record, backup, 'without_driver_info',
                     'a record without driver_info')
        self.cinder.configure(
            **{f'{options.GROUP}__without_driver_info': 'accept'})
        self.imports(record)
