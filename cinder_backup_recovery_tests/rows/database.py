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
"""Loss of backup rows by a connection to Cinder's database.

What is lost is the rows of ``backups`` and ``backup_metadata``. The usage in
``quota_usages`` is put right with them, because an import consumes quota
(LP 1783525) and would else run into the limit of 10 backups.

``num_dependent_backups`` of a parent is left as it is: neither a lost row nor
an import changes it in a real cloud, so after loss and import of a child it is
right again, and counting it down here would leave it wrong (LP 2163042).
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
from typing import Any

import sqlalchemy as sa

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.rows import base
from cinder_backup_recovery_tests.rows import connection as connections

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    'backups': ('id', 'project_id', 'size', 'status', 'deleted',
                'deleted_at'),
    'backup_metadata': ('backup_id', 'deleted', 'deleted_at'),
    'quota_usages': ('id', 'project_id', 'resource', 'in_use', 'deleted'),
    # Not touched, but what would a database without them be.
    'volumes': ('id',),
    'services': ('id', 'binary'),
}
# Of Alembic, and of its predecessor in releases before 2023.1.
_VERSIONS = ('alembic_version', 'migrate_version')
_CHANGED = ('backups', 'backup_metadata', 'quota_usages')

# Rows and live rows of each table.
_Counts = dict[str, tuple[int, int]]


class DatabaseRows(connections.OwnRows, base.BackupRows):
    """The rows of backups in the database itself."""

    def _try_to_write(self, connection: sa.Connection) -> None:
        _try_to_write(connection)

    def hosts(self, binary: str) -> set[str]:
        """The hosts on which this Cinder has run a service.

        :param binary: the service
        :raises DatabaseUnreachable: see :meth:`check`
        """
        services = sa.table('services', sa.column('host'),
                            sa.column('binary'), sa.column('deleted'))
        with self._database.reading() as connection:
            return set(connection.scalars(
                sa.select(services.c.host)
                .where(services.c.binary == binary)
                .where(services.c.deleted.is_(sa.false()))))

    def lose(self, backup_ids: Sequence[str], kind: str = base.HARD,
             project_id: str | None = None) -> base.Loss:
        """Lose the rows of backups, in one transaction.

        :param backup_ids: see the base class
        :param kind: HARD deletes the rows, SOFT marks them the way Cinder's
            own delete does
        :param project_id: the project that they must belong to
        :returns: what was lost, and how the quota usage was put right
        :raises InvalidConfiguration: the request makes no sense
        :raises NotInLedger: a backup is not one of the suite's own
        :raises ForeignBackup: a backup belongs to another project
        :raises RowsMismatch: a row is missing or already deleted, or other
            rows would have changed
        :raises DatabaseUnreachable: see :meth:`check`
        :raises NotCinderDatabase: see :meth:`check`
        """
        ids = base.check_request(backup_ids, kind)
        self._ledger.require(base.BACKUP, ids)
        return self._database.write(
            lambda connection: _lose(connection, ids, kind, project_id))

    def exists(self, backup_ids: Iterable[str]) -> dict[str, str]:
        """Look which rows are there; any id may be asked for.

        :param backup_ids: the backups
        :returns: LIVE, SOFT_DELETED or ABSENT by id
        :raises DatabaseUnreachable: see :meth:`check`
        :raises NotCinderDatabase: see :meth:`check`
        """
        ids = base.check_request(backup_ids)
        with self._database.reading() as connection:
            backups = _tables(connection)['backups']
            rows = connection.execute(
                sa.select(backups.c.id, _is_live(backups).label('live'))
                .where(backups.c.id.in_(ids))).all()
        live = {row.id: bool(row.live) for row in rows}
        return {one: base.ABSENT if one not in live
                else base.LIVE if live[one] else base.SOFT_DELETED
                for one in ids}

    def purge(self, backup_ids: Sequence[str]) -> int:
        """Remove soft-deleted rows that were left over.

        :param backup_ids: backups that the ledger owns; those without a row
            are no error, so that a clean-up can be repeated
        :returns: how many rows of backups were removed
        :raises NotInLedger: a backup is not one of the suite's own
        :raises RowsMismatch: a row is live; nothing was removed
        :raises DatabaseUnreachable: see :meth:`check`
        :raises NotCinderDatabase: see :meth:`check`
        """
        ids = base.check_request(backup_ids)
        self._ledger.require(base.BACKUP, ids)
        return self._database.write(lambda connection: _purge(connection, ids))


def _tables(connection: sa.Connection) -> dict[str, sa.Table]:
    """Reflect the tables that are needed.

    :raises NotCinderDatabase: naming what is missing
    """
    inspector = sa.inspect(connection)
    names = set(inspector.get_table_names())
    missing = [f'table {name}' for name in _COLUMNS if name not in names]
    if not names.intersection(_VERSIONS):
        missing.append(f'table {" or ".join(_VERSIONS)}')
    for name, columns in _COLUMNS.items():
        if name in names:
            there = {column['name'] for column in inspector.get_columns(name)}
            missing.extend(f'column {name}.{column}' for column in columns
                           if column not in there)
    if missing:
        raise exceptions.NotCinderDatabase(
            f'{connection.get_execution_options()[connections.NAME]} is not '
            f'the database of Cinder: no {", no ".join(missing)}')
    metadata = sa.MetaData()
    return {name: sa.Table(name, metadata, autoload_with=connection,
                           resolve_fks=False) for name in _CHANGED}


def _is_live(table: sa.Table) -> sa.ColumnElement[bool]:
    # Cinder's own condition; a NULL is as good as deleted to it.
    return table.c.deleted.is_(sa.false())


def _try_to_write(connection: sa.Connection) -> None:
    tables = _tables(connection)
    nothing = sa.literal(1) == sa.literal(0)
    for name in ('backup_metadata', 'backups'):
        table = tables[name]
        connection.execute(sa.delete(table).where(nothing))
        connection.execute(sa.update(table).where(nothing)
                           .values(deleted=True))
    connection.execute(sa.update(tables['quota_usages']).where(nothing)
                       .values(in_use=0))


def _lose(connection: sa.Connection, ids: list[str], kind: str,
          project_id: str | None) -> base.Loss:
    tables = _tables(connection)
    rows = _rows_to_lose(connection, tables['backups'], ids, project_id)
    before = _count(connection, tables)
    remove = _delete if kind == base.HARD else _mark_deleted
    metadata_rows, expected = remove(connection, tables, ids, before)
    changes = _put_quota_right(connection, tables['quota_usages'], rows)
    _compare_counts(expected, _count(connection, tables))
    return base.Loss(kind, tuple(ids), metadata_rows, tuple(changes))


def _rows_to_lose(connection: sa.Connection, backups: sa.Table,
                  ids: list[str], project_id: str | None
                  ) -> Sequence[sa.Row[Any]]:
    rows = connection.execute(
        sa.select(backups.c.id, backups.c.project_id, backups.c.size,
                  _is_live(backups).label('live'))
        .where(backups.c.id.in_(ids)).with_for_update()).all()
    foreign = [row.id for row in rows if row.project_id != project_id]
    if project_id is not None and foreign:
        raise exceptions.ForeignBackup(
            f'backup {", ".join(foreign)} does not belong to project '
            f'{project_id}; no row was changed')
    live = {row.id for row in rows if row.live}
    there = {row.id for row in rows}
    wrong = [f'{one} is already deleted' if one in there else f'{one} is not '
             f'there' for one in ids if one not in live]
    if wrong:
        raise exceptions.RowsMismatch(
            f'row of backup {", row of backup ".join(wrong)}; no row was '
            f'changed')
    return rows


def _delete(connection: sa.Connection, tables: dict[str, sa.Table],
            ids: list[str], before: _Counts) -> tuple[int, _Counts]:
    metadata, backups = tables['backup_metadata'], tables['backups']
    live = connection.execute(
        sa.select(sa.func.count()).select_from(metadata)
        .where(metadata.c.backup_id.in_(ids), _is_live(metadata))
    ).scalar_one()
    removed = connection.execute(
        sa.delete(metadata).where(metadata.c.backup_id.in_(ids))).rowcount
    connection.execute(sa.delete(backups).where(backups.c.id.in_(ids)))
    return removed, {**before,
                     'backups': _less(before['backups'], len(ids), len(ids)),
                     'backup_metadata': _less(before['backup_metadata'],
                                              removed, live)}


def _mark_deleted(connection: sa.Connection, tables: dict[str, sa.Table],
                  ids: list[str], before: _Counts) -> tuple[int, _Counts]:
    metadata, backups = tables['backup_metadata'], tables['backups']
    # Cinder stores times in UTC, without a zone, and leaves updated_at.
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    marks: dict[str, Any] = {'deleted': True, 'deleted_at': now}
    marked = connection.execute(
        sa.update(metadata)
        .where(metadata.c.backup_id.in_(ids), _is_live(metadata))
        .values(**marks)).rowcount
    connection.execute(
        sa.update(backups).where(backups.c.id.in_(ids))
        .values(status='deleted', **marks))
    return marked, {**before,
                    'backups': _less(before['backups'], 0, len(ids)),
                    'backup_metadata': _less(before['backup_metadata'], 0,
                                             marked)}


def _put_quota_right(connection: sa.Connection, usages: sa.Table,
                     rows: Sequence[sa.Row[Any]]) -> list[base.QuotaChange]:
    removed: dict[str, dict[str, int]] = {}
    for row in rows:
        of_project = removed.setdefault(row.project_id, {
            'backups': 0, 'backup_gigabytes': 0})
        of_project['backups'] += 1
        of_project['backup_gigabytes'] += row.size or 0
    changes = []
    for project_id, of_project in sorted(removed.items(),
                                         key=lambda item: str(item[0])):
        for usage in connection.execute(
                sa.select(usages.c.id, usages.c.resource, usages.c.in_use)
                .where(usages.c.project_id == project_id,
                       usages.c.resource.in_(of_project), _is_live(usages))
                .order_by(usages.c.id).with_for_update()).all():
            after = max(usage.in_use - of_project[usage.resource], 0)
            connection.execute(
                sa.update(usages).where(usages.c.id == usage.id)
                .values(in_use=after))
            changes.append(base.QuotaChange(project_id, usage.resource,
                                            usage.in_use, after))
    return changes


def _purge(connection: sa.Connection, ids: list[str]) -> int:
    tables = _tables(connection)
    metadata, backups = tables['backup_metadata'], tables['backups']
    rows = connection.execute(
        sa.select(backups.c.id, _is_live(backups).label('live'))
        .where(backups.c.id.in_(ids)).with_for_update()).all()
    live = [row.id for row in rows if row.live]
    if live:
        raise exceptions.RowsMismatch(
            f'row of backup {", ".join(live)} is live; no row was removed')
    there = [row.id for row in rows]
    before = _count(connection, tables)
    removed = connection.execute(
        sa.delete(metadata).where(metadata.c.backup_id.in_(there))).rowcount
    connection.execute(sa.delete(backups).where(backups.c.id.in_(there)))
    after = _count(connection, tables)
    # A backup that a crash left deleted may still have live metadata.
    _compare_counts(
        {**before, 'backups': _less(before['backups'], len(there), 0),
         'backup_metadata': (before['backup_metadata'][0] - removed,
                             after['backup_metadata'][1])}, after)
    return len(there)


def _count(connection: sa.Connection,
           tables: dict[str, sa.Table]) -> _Counts:
    counts = {}
    for name, table in tables.items():
        row = connection.execute(sa.select(
            sa.func.count(),
            sa.func.count(sa.case((_is_live(table), 1)))
        ).select_from(table)).one()
        counts[name] = (row[0], row[1])
    return counts


def _less(counts: tuple[int, int], rows: int, live: int) -> tuple[int, int]:
    return counts[0] - rows, counts[1] - live


def _compare_counts(expected: _Counts, found: _Counts) -> None:
    wrong = [f'{name} has {found[name][0]} rows ({found[name][1]} live) and '
             f'should have {expected[name][0]} ({expected[name][1]} live)'
             for name in expected if found[name] != expected[name]]
    if wrong:
        raise exceptions.RowsMismatch(
            f'{"; ".join(wrong)}; all was rolled back')
