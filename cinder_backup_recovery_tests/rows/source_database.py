# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Rows of volumes and snapshots, in Cinder's database itself."""

from collections.abc import Iterable
import datetime
import json
from typing import Any

import sqlalchemy as sa

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import connection as connections
from cinder_backup_recovery_tests.rows import sources

# What belongs to a volume or snapshot, its own table first: the table, the
# column that says whose a row is, and the table of those that it means.
_TABLES = {
    sources.VOLUME: (
        ('volumes', 'id', None),
        ('volume_metadata', 'volume_id', 'volumes'),
        ('volume_admin_metadata', 'volume_id', 'volumes'),
        ('volume_glance_metadata', 'volume_id', 'volumes'),
        ('volume_attachment', 'volume_id', 'volumes'),
        ('attachment_specs', 'attachment_id', 'volume_attachment')),
    sources.SNAPSHOT: (
        ('snapshots', 'id', None),
        ('snapshot_metadata', 'snapshot_id', 'snapshots'),
        ('volume_glance_metadata', 'snapshot_id', 'snapshots')),
}
# What may hang on it and is not lost with it.
_HANGING = {
    sources.VOLUME: (('snapshots', 'volume_id'), ('transfers', 'volume_id')),
    sources.SNAPSHOT: (),
}
_VERSIONS = ('alembic_version', 'migrate_version')


class DatabaseSources(connections.OwnRows, sources.SourceRows):
    """The rows of volumes and snapshots in the database itself."""

    def _try_to_write(self, connection: sa.Connection) -> None:
        _try_to_write(connection)

    def save(self, what: str, resource_id: str) -> sources.Saved:
        """Read all rows of a volume or snapshot; see the base class.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one
        """
        sources.check_request(what, resource_id)
        with self._database.reading() as connection:
            rows = _read(connection, what, resource_id)
        _require_live(rows, what, resource_id)
        return _as_json(rows)

    def lose(self, what: str, resource_id: str, kind: str,
             saved: sources.Saved, project_id: str | None = None) -> None:
        """Lose all rows in one transaction; see the base class.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one
        :param kind: HARD or SOFT
        :param saved: what :meth:`save` returned
        :param project_id: the project that it must belong to
        """
        sources.check_request(what, resource_id, kind)
        self._ledger.require(what, [resource_id])

        def work(connection: sa.Connection) -> None:
            rows = _read(connection, what, resource_id)
            own = _require_live(rows, what, resource_id)
            if project_id is not None and own['project_id'] != project_id:
                raise exceptions.ForeignBackup(
                    f'{what} {resource_id} does not belong to project '
                    f'{project_id}; no row was changed')
            if _as_json(rows) != saved:
                raise exceptions.RowsMismatch(
                    f'the rows of {what} {resource_id} have changed since '
                    f'they were saved; no row was changed')
            if kind == base.HARD:
                _refuse_hanging(connection, what, resource_id)
                _delete(connection, rows)
            else:
                _mark_deleted(connection, rows)

        self._database.write(work)

    def put_back(self, what: str, resource_id: str,
                 saved: sources.Saved) -> None:
        """Write all rows in one transaction; see the base class.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one
        :param saved: what :meth:`save` returned
        """
        sources.check_request(what, resource_id)
        self._ledger.require(what, [resource_id])
        self._database.write(lambda connection: _put_back(
            connection, what, resource_id, saved))

    def state(self, what: str, resource_id: str) -> str:
        """Look whether the row is there; see the base class.

        :param what: VOLUME or SNAPSHOT
        :param resource_id: which one
        """
        sources.check_request(what, resource_id)
        with self._database.reading() as connection:
            own = _read(connection, what, resource_id)[_TABLES[what][0][0]]
        if not own:
            return base.ABSENT
        return base.LIVE if _is_live(own[0]) else base.SOFT_DELETED


def _table(connection: sa.Connection, name: str) -> sa.Table:
    try:
        return sa.Table(name, sa.MetaData(), autoload_with=connection,
                        resolve_fks=False)
    except sa.exc.NoSuchTableError:
        raise exceptions.NotCinderDatabase(
            f'{connection.get_execution_options()[connections.NAME]} is not '
            f'the database of Cinder: no table {name}') from None


def _try_to_write(connection: sa.Connection) -> None:
    if not set(sa.inspect(connection).get_table_names()).intersection(
            _VERSIONS):
        _table(connection, _VERSIONS[0])
    nothing = sa.literal(1) == sa.literal(0)
    for tables in _TABLES.values():
        for name, *_ in tables:
            table = _table(connection, name)
            connection.execute(sa.delete(table).where(nothing))
            connection.execute(sa.update(table).where(nothing)
                               .values(deleted=True))


def _read(connection: sa.Connection, what: str, resource_id: str
          ) -> dict[str, list[dict[str, Any]]]:
    """Read the rows, locked where the database can, by table."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, column, of in _TABLES[what]:
        table = _table(connection, name)
        owners = ([resource_id] if of is None else
                  [row['id'] for row in found[of]])
        found[name] = [
            dict(row._mapping) for row in connection.execute(
                sa.select(table).where(table.c[column].in_(owners))
                .order_by(table.c.id).with_for_update())]
    return found


def _is_live(row: dict[str, Any]) -> bool:
    # A NULL is as good as deleted to Cinder.
    return row['deleted'] is not None and not row['deleted']


def _require_live(rows: dict[str, list[dict[str, Any]]], what: str,
                  resource_id: str) -> dict[str, Any]:
    own = rows[_TABLES[what][0][0]]
    if not own or not _is_live(own[0]):
        raise exceptions.RowsMismatch(
            f'{what} {resource_id} is '
            f'{"already deleted" if own else "not there"}; no row was '
            f'changed')
    return own[0]


def _as_json(rows: dict[str, list[dict[str, Any]]]) -> sources.Saved:
    return {name: [
        {column: value.isoformat() if isinstance(value, datetime.datetime)
         else value for column, value in row.items()} for row in of_table]
        for name, of_table in rows.items()}


def _from_json(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    values = dict(row)
    for column in table.columns:
        if isinstance(column.type, sa.DateTime) and row.get(column.name):
            values[column.name] = datetime.datetime.fromisoformat(
                row[column.name])
    return values


def _refuse_hanging(connection: sa.Connection, what: str,
                    resource_id: str) -> None:
    for name, column in _HANGING[what]:
        table = _table(connection, name)
        count = connection.execute(
            sa.select(sa.func.count()).select_from(table)
            .where(table.c[column] == resource_id)).scalar_one()
        if count:
            raise exceptions.RowsMismatch(
                f'{count} rows of {name} hang on {what} {resource_id}; no '
                f'row was changed')


def _delete(connection: sa.Connection,
            rows: dict[str, list[dict[str, Any]]]) -> None:
    for name, of_table in reversed(rows.items()):
        table = _table(connection, name)
        _require_count(name, of_table, connection.execute(
            sa.delete(table).where(table.c.id.in_(_ids(of_table)))).rowcount)


def _mark_deleted(connection: sa.Connection,
                  rows: dict[str, list[dict[str, Any]]]) -> None:
    # Cinder stores times in UTC, without a zone, and leaves updated_at.
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    for number, (name, of_table) in enumerate(rows.items()):
        table = _table(connection, name)
        live = [row for row in of_table if _is_live(row)]
        values: dict[str, Any] = {'deleted': True, 'deleted_at': now}
        if number == 0:
            values['status'] = 'deleted'
        _require_count(name, live, connection.execute(
            sa.update(table).where(table.c.id.in_(_ids(live)))
            .values(values)).rowcount)


def _ids(rows: Iterable[dict[str, Any]]) -> list[Any]:
    return [row['id'] for row in rows]


def _require_count(name: str, rows: list[dict[str, Any]],
                   count: int) -> None:
    if count != len(rows):
        raise exceptions.RowsMismatch(
            f'{count} rows of {name} would have changed and should be '
            f'{len(rows)}; all was rolled back')


def _put_back(connection: sa.Connection, what: str, resource_id: str,
              saved: sources.Saved) -> None:
    _require_own(what, resource_id, saved)
    for name, column, _ in _TABLES[what]:
        table = _table(connection, name)
        for row in saved[name]:
            values = _from_json(table, row)
            this = table.c.id == values['id']
            there = connection.execute(
                sa.select(table.c[column].label('of')).where(this)).first()
            if there is None:
                connection.execute(sa.insert(table).values(values))
            elif there.of == row[column]:
                connection.execute(sa.update(table).where(this)
                                   .values(values))
            else:
                # SQLite has given the number of a deleted row to another.
                del values['id']
                connection.execute(sa.insert(table).values(values))
    if (_comparable(_as_json(_read(connection, what, resource_id))) !=
            _comparable(saved)):
        raise exceptions.RowsMismatch(
            f'the rows of {what} {resource_id} would not be what they were; '
            f'all was rolled back')


def _comparable(saved: sources.Saved) -> dict[str, list[str]]:
    """Leave the numbers of rows out, which mean nothing, and their order."""
    return {name: sorted(
        json.dumps({column: value for column, value in row.items()
                    if column != 'id' or isinstance(value, str)},
                   sort_keys=True) for row in rows)
        for name, rows in saved.items()}


def _require_own(what: str, resource_id: str, saved: sources.Saved) -> None:
    """Refuse rows of anything else, whatever the ledger's file says."""
    ids: dict[str | None, list[Any]] = {None: [resource_id]}
    for name, column, of in _TABLES[what]:
        of_table = saved.get(name)
        if of_table is None or any(
                row.get(column) not in ids[of] for row in of_table) or (
                of is None and len(of_table) != 1):
            raise exceptions.RowsMismatch(
                f'what was saved of {what} {resource_id} has other rows of '
                f'{name}; no row was changed')
        ids[name] = _ids(of_table)
    if set(saved) - set(ids):
        raise exceptions.RowsMismatch(
            f'what was saved of {what} {resource_id} has rows of other '
            f'tables; no row was changed')
