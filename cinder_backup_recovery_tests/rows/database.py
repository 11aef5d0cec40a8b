# SPDX-License-Identifier: Apache-2.0
"""Rows in Cinder's database itself.

The rows of a backup are those of ``backups`` and ``backup_metadata``. With
them its usage in ``quota_usages`` changes, because an import consumes quota
(LP 1783525) and would else run into the limit of 10 backups.

``num_dependent_backups`` of a parent is left unchanged: neither a lost row nor
an import changes it in a real cloud, so after loss and import of a child it is
right again, and counting it down here would leave it wrong (LP 2163042).
"""

from collections.abc import Mapping
import datetime
import functools
import json
from typing import Any

import sqlalchemy as sa

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import connection as connections

# The rows of a resource, its own table first: the table, the column that
# tells whose a row is, and the table that this column refers to.
_TABLES: Mapping[str, tuple[tuple[str, str, str | None], ...]] = {
    base.BACKUP: (
        ('backups', 'id', None),
        ('backup_metadata', 'backup_id', 'backups')),
    base.VOLUME: (
        ('volumes', 'id', None),
        ('volume_metadata', 'volume_id', 'volumes'),
        ('volume_admin_metadata', 'volume_id', 'volumes'),
        ('volume_glance_metadata', 'volume_id', 'volumes'),
        ('volume_attachment', 'volume_id', 'volumes'),
        ('attachment_specs', 'attachment_id', 'volume_attachment')),
    base.SNAPSHOT: (
        ('snapshots', 'id', None),
        ('snapshot_metadata', 'snapshot_id', 'snapshots'),
        ('volume_glance_metadata', 'snapshot_id', 'snapshots')),
}
# Rows that may refer to it, and are not deleted with it.
_DEPENDENT = {
    base.BACKUP: (),
    base.VOLUME: (('snapshots', 'volume_id'), ('transfers', 'volume_id')),
    base.SNAPSHOT: (),
}
_USAGES = 'quota_usages'
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    'backups': ('project_id', 'size', 'status'),
    'volumes': ('project_id', 'status'),
    'snapshots': ('project_id', 'status'),
    _USAGES: ('project_id', 'resource', 'in_use'),
}
# Not touched, but in every database of Cinder.
_ALWAYS: Mapping[str, tuple[str, ...]] = {
    'volumes': ('id',), 'services': ('id', 'binary')}
# Of Alembic, and of its predecessor in releases before 2023.1.
_VERSIONS = ('alembic_version', 'migrate_version')

_Tables = dict[str, sa.Table]
_Rows = dict[str, list[dict[str, Any]]]
# Rows and live rows of each table.
_Counts = dict[str, tuple[int, int]]


class DatabaseRows(base.Rows):
    """Rows by SQLAlchemy: SQLite, MariaDB or MySQL, PostgreSQL.

    :param url: as in ``[database] connection`` of cinder.conf
    :raises InvalidConfiguration: the URL cannot be used
    """

    def __init__(self, url: str, ledger: base.Owner) -> None:
        super().__init__(ledger)
        self._database = connections.Database(url)

    def check(self, *whats: str) -> None:
        """Prove that it is Cinder's database and may be written.

        :raises DatabaseUnreachable: it does not answer, refuses the
            credentials, or may not be written
        :raises NotCinderDatabase: naming missing tables and columns
        """
        for what in whats:
            self._database.write(
                functools.partial(_try_to_write, what=what), commit=False)

    def hosts(self, binary: str) -> set[str]:
        """Read the hosts on which this Cinder has run a service."""
        services = sa.table('services', sa.column('host'),
                            sa.column('binary'), sa.column('deleted'))
        with self._database.reading() as connection:
            return set(connection.scalars(
                sa.select(services.c.host)
                .where(services.c.binary == binary)
                .where(services.c.deleted.is_(sa.false()))))

    def _states(self, what: str, ids: list[str]) -> dict[str, str]:
        with self._database.reading() as connection:
            return _states(what, ids, _read(
                connection, _reflect(connection, what), what, ids))

    def _save(self, what: str, ids: list[str]) -> base.Saved:
        with self._database.reading() as connection:
            rows = _read(connection, _reflect(connection, what), what, ids)
        _require_states(what, _states(what, ids, rows), (base.LIVE,))
        return _as_json(rows)

    def _lose(self, what: str, ids: list[str], kind: str,
              project_id: str | None, saved: base.Saved | None) -> base.Loss:
        return self._database.write(lambda connection: _lose(
            connection, what, ids, kind, project_id, saved))

    def _restore(self, what: str, ids: list[str], saved: base.Saved) -> None:
        self._database.write(lambda connection: _restore(
            connection, what, ids, saved))

    def _purge(self, what: str, ids: list[str]) -> int:
        return self._database.write(lambda connection: _purge(
            connection, what, ids))


def _reflect(connection: sa.Connection, what: str) -> _Tables:
    """Reflect the tables that may be changed.

    :raises NotCinderDatabase: naming missing tables and columns
    """
    needed: dict[str, set[str]] = {
        name: {'id', column, 'deleted', 'deleted_at', *_COLUMNS.get(name, ())}
        for name, column, _ in _TABLES[what]}
    if what == base.BACKUP:
        needed[_USAGES] = {'id', 'deleted', *_COLUMNS[_USAGES]}
    changed = list(needed)
    for name, columns in _ALWAYS.items():
        needed.setdefault(name, set()).update(columns)
    existing = set(sa.inspect(connection).get_table_names())
    missing = [f'table {name}' for name in needed if name not in existing]
    if not existing.intersection(_VERSIONS):
        missing.append(f'table {" or ".join(_VERSIONS)}')
    metadata = sa.MetaData()
    tables = {name: sa.Table(name, metadata, autoload_with=connection,
                             resolve_fks=False)
              for name in needed if name in existing}
    missing.extend(f'column {name}.{column}' for name, table in tables.items()
                   for column in sorted(needed[name].difference(
                       table.columns.keys())))
    if missing:
        raise exceptions.NotCinderDatabase(
            f'{connection.get_execution_options()[connections.NAME]} is not '
            f'the database of Cinder: no {", no ".join(missing)}')
    return {name: tables[name] for name in changed}


def _try_to_write(connection: sa.Connection, what: str) -> None:
    """Write to each table that may be changed, and change nothing."""
    tables = _reflect(connection, what)
    nothing = sa.literal(1) == sa.literal(0)
    for name, table in tables.items():
        connection.execute(sa.update(table).where(nothing)
                           .values(deleted=True))
        if name != _USAGES:
            connection.execute(sa.delete(table).where(nothing))


def _read(connection: sa.Connection, tables: _Tables, what: str,
          ids: list[str], lock: bool = False) -> _Rows:
    """Read the rows of resources by table, locked where that is possible."""
    found: _Rows = {}
    for name, column, of in _TABLES[what]:
        owners = ids if of is None else _ids(found[of])
        query = (sa.select(tables[name])
                 .where(tables[name].c[column].in_(owners))
                 .order_by(tables[name].c.id))
        if lock:
            query = query.with_for_update()
        found[name] = [dict(row._mapping)
                       for row in connection.execute(query)]
    return found


def _own(what: str, rows: Mapping[str, list[dict[str, Any]]]
         ) -> list[dict[str, Any]]:
    return rows[_TABLES[what][0][0]]


def _ids(rows: list[dict[str, Any]]) -> list[Any]:
    return [row['id'] for row in rows]


def _is_live(row: dict[str, Any]) -> bool:
    # Cinder's own condition; a NULL is as good as deleted to it.
    return row['deleted'] is not None and not row['deleted']


def _live(rows: _Rows) -> _Rows:
    return {name: [row for row in of_table if _is_live(row)]
            for name, of_table in rows.items()}


def _states(what: str, ids: list[str], rows: _Rows) -> dict[str, str]:
    live = {row['id']: _is_live(row) for row in _own(what, rows)}
    return {one: base.ABSENT if one not in live
            else base.LIVE if live[one] else base.SOFT_DELETED
            for one in ids}


def _require_states(what: str, states: dict[str, str],
                    allowed: tuple[str, ...]) -> None:
    wrong = [f'row of {what} {resource_id} is {state}'
             for resource_id, state in states.items() if state not in allowed]
    if wrong:
        raise exceptions.RowsMismatch(
            f'{", ".join(wrong)}; no row was changed')


def _lose(connection: sa.Connection, what: str, ids: list[str], kind: str,
          project_id: str | None, saved: base.Saved | None) -> base.Loss:
    tables = _reflect(connection, what)
    rows = _read(connection, tables, what, ids, lock=True)
    own = _own(what, rows)
    foreign = [row['id'] for row in own if row['project_id'] != project_id]
    if project_id is not None and foreign:
        raise exceptions.ForeignBackup(
            f'{what} {", ".join(foreign)} does not belong to project '
            f'{project_id}; no row was changed')
    _require_states(what, _states(what, ids, rows), (base.LIVE,))
    if saved is not None and _as_json(rows) != saved:
        raise exceptions.RowsMismatch(
            f'the rows of {what} {", ".join(ids)} have changed since they '
            f'were saved; no row was changed')
    before = _count(connection, tables)
    live = _live(rows)
    if kind == base.HARD:
        _refuse_dependent(connection, what, ids)
        _delete(connection, tables, rows)
        expected = _less(before, rows, live)
    else:
        _mark_deleted(connection, tables, what, live)
        expected = _less(before, {}, live)
    changes = _change_usage(connection, tables, own, -1)
    _compare_counts(expected, _count(connection, tables))
    return base.Loss(
        what, tuple(ids), kind,
        {name: len(changed) for name, changed in
         (rows if kind == base.HARD else live).items()}, tuple(changes))


def _refuse_dependent(connection: sa.Connection, what: str, ids: list[str]
                      ) -> None:
    for name, column in _DEPENDENT[what]:
        table = sa.table(name, sa.column(column))
        count = connection.execute(
            sa.select(sa.func.count()).select_from(table)
            .where(table.c[column].in_(ids))).scalar_one()
        if count:
            raise exceptions.RowsMismatch(
                f'{count} rows in {name} reference {what} {", ".join(ids)}; '
                f'no row was changed')


def _delete(connection: sa.Connection, tables: _Tables, rows: _Rows) -> None:
    for name, of_table in reversed(rows.items()):
        table = tables[name]
        connection.execute(
            sa.delete(table).where(table.c.id.in_(_ids(of_table))))


def _mark_deleted(connection: sa.Connection, tables: _Tables, what: str,
                  rows: _Rows) -> None:
    # Cinder stores times in UTC, without a zone, and leaves updated_at.
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    for name, of_table in rows.items():
        table = tables[name]
        values: dict[str, Any] = {'deleted': True, 'deleted_at': now}
        if of_table is _own(what, rows):
            values['status'] = 'deleted'
        connection.execute(
            sa.update(table).where(table.c.id.in_(_ids(of_table)))
            .values(values))


def _change_usage(connection: sa.Connection, tables: _Tables,
                  backups: list[dict[str, Any]], sign: int
                  ) -> list[base.QuotaChange]:
    """Add backups to the usage of their projects, or subtract them."""
    if _USAGES not in tables:
        return []
    usages = tables[_USAGES]
    used: dict[str, dict[str, int]] = {}
    for row in backups:
        of_project = used.setdefault(row['project_id'], {
            'backups': 0, 'backup_gigabytes': 0})
        of_project['backups'] += 1
        of_project['backup_gigabytes'] += row['size'] or 0
    changes = []
    for project_id, of_project in sorted(used.items(),
                                         key=lambda item: str(item[0])):
        for usage in connection.execute(
                sa.select(usages.c.id, usages.c.resource, usages.c.in_use)
                .where(usages.c.project_id == project_id,
                       usages.c.resource.in_(of_project),
                       usages.c.deleted.is_(sa.false()))
                .order_by(usages.c.id).with_for_update()).all():
            after = max(usage.in_use + sign * of_project[usage.resource], 0)
            connection.execute(
                sa.update(usages).where(usages.c.id == usage.id)
                .values(in_use=after))
            changes.append(base.QuotaChange(project_id, usage.resource,
                                            usage.in_use, after))
    return changes


def _purge(connection: sa.Connection, what: str, ids: list[str]) -> int:
    tables = _reflect(connection, what)
    rows = _read(connection, tables, what, ids, lock=True)
    _require_states(what, _states(what, ids, rows),
                    (base.SOFT_DELETED, base.ABSENT))
    before = _count(connection, tables)
    _delete(connection, tables, rows)
    # A resource that a crash left deleted may still have live metadata.
    _compare_counts(_less(before, rows, _live(rows)),
                    _count(connection, tables))
    return len(_own(what, rows))


def _count(connection: sa.Connection, tables: _Tables) -> _Counts:
    counts = {}
    for name, table in tables.items():
        row = connection.execute(sa.select(
            sa.func.count(),
            sa.func.count(sa.case((table.c.deleted.is_(sa.false()), 1)))
        ).select_from(table)).one()
        counts[name] = (row[0], row[1])
    return counts


def _less(counts: _Counts, rows: _Rows, live: _Rows) -> _Counts:
    return {name: (count - len(rows.get(name, ())),
                   count_live - len(live.get(name, ())))
            for name, (count, count_live) in counts.items()}


def _compare_counts(expected: _Counts, found: _Counts) -> None:
    wrong = [f'{name} has {found[name][0]} rows ({found[name][1]} live) and '
             f'should have {expected[name][0]} ({expected[name][1]} live)'
             for name in expected if found[name] != expected[name]]
    if wrong:
        raise exceptions.RowsMismatch(
            f'{"; ".join(wrong)}; all was rolled back')


def _as_json(rows: _Rows) -> base.Saved:
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


def _restore(connection: sa.Connection, what: str, ids: list[str],
             saved: base.Saved) -> None:
    _require_own(what, ids, saved)
    tables = _reflect(connection, what)
    states = _states(what, ids, _read(connection, tables, what, ids,
                                      lock=True))
    for name, column, _ in _TABLES[what]:
        for row in saved[name]:
            _write(connection, tables[name], column, row)
    _change_usage(connection, tables, [
        row for row in _own(what, saved)
        if states[row['id']] != base.LIVE], 1)
    if _comparable(saved) != _comparable(_as_json(
            _read(connection, tables, what, ids))):
        raise exceptions.RowsMismatch(
            f'restoring would not reproduce the saved rows of {what} '
            f'{", ".join(ids)}; rolled back')


def _write(connection: sa.Connection, table: sa.Table, column: str,
           row: dict[str, Any]) -> None:
    values = _from_json(table, row)
    this = table.c.id == values['id']
    existing = connection.execute(
        sa.select(table.c[column].label('of')).where(this)).first()
    if existing is not None and existing.of == row[column]:
        connection.execute(sa.update(table).where(this).values(values))
        return
    if existing is not None:
        # SQLite has given the number of a deleted row to another.
        del values['id']
    connection.execute(sa.insert(table).values(values))


def _comparable(saved: base.Saved) -> dict[str, list[str]]:
    """Leave out the numbers of rows, which mean nothing, and their order."""
    return {name: sorted(
        json.dumps({column: value for column, value in row.items()
                    if column != 'id' or isinstance(value, str)},
                   sort_keys=True) for row in rows)
        for name, rows in saved.items()}


def _require_own(what: str, ids: list[str], saved: base.Saved) -> None:
    """Refuse rows of anything else, whatever the ledger's file contains."""
    allowed: dict[str | None, list[Any]] = {None: ids}
    for name, column, of in _TABLES[what]:
        of_table = saved.get(name)
        if of_table is None or any(
                row.get(column) not in allowed[of] for row in of_table) or (
                of is None and sorted(_ids(of_table)) != sorted(ids)):
            raise exceptions.RowsMismatch(
                f'the saved rows of {what} {", ".join(ids)} have other rows '
                f'of {name}; no row was changed')
        allowed[name] = _ids(of_table)
    if set(saved) - set(allowed):
        raise exceptions.RowsMismatch(
            f'the saved rows of {what} {", ".join(ids)} are of other tables '
            f'too; no row was changed')
