# SPDX-License-Identifier: Apache-2.0

"""Many chains of backups, copied from a real one.

A backup of a volume takes seconds, also without data: a thousand of them
would take hours. So one chain is real, and the others have the same contents
under other ids: rows in Cinder's database and files on the storage, as Cinder
would have made them of other volumes. The chunks are links to one file.
"""

import contextlib
import dataclasses
import os
import pathlib
import sqlite3
import time
from typing import Any
import uuid

from benchmarks import results

_PATIENCE = 600


@dataclasses.dataclass(frozen=True)
class Chain:
    """A full backup and an incremental one, and the volume's id."""

    volume: str
    full: str
    incremental: str

    @classmethod
    def new(cls) -> 'Chain':
        """Make a chain of new ids."""
        return cls(*(str(uuid.uuid4()) for _ in range(3)))

    def renamed(self, text: str, other: 'Chain') -> str:
        """A text in which this chain's ids are those of another one."""
        for mine, its in zip(dataclasses.astuple(self),
                             dataclasses.astuple(other), strict=True):
            # Its container first, which begins with parts of the id.
            for name in (_container, str):
                text = text.replace(name(mine), name(its))
        return text


def make(session: Any, volumes: pathlib.Path) -> tuple[Chain,
                                                       dict[str, float]]:
    """Make a chain of a volume of 1 GiB with 2 MiB of data.

    :param session: of an administrator
    :param volumes: the directory with the files that are volumes
    :returns: the chain, and the seconds that its backups took
    """
    volume = _created(session, 'volume', size=1)
    made, seconds = [], {}
    for number, kind in enumerate(('full', 'incremental')):
        with open(volumes / f'volume-{volume}', 'r+b') as stream:
            stream.seek(number * results.MIB)
            stream.write(os.urandom(results.MIB))
        started = time.perf_counter()
        made.append(_created(session, 'backup', volume_id=volume,
                             incremental=bool(number)))
        seconds[kind] = time.perf_counter() - started
    return Chain(volume, *made), seconds


def _created(session: Any, kind: str, **values: Any) -> str:
    made = session.request('POST', 'cinder', f'/{kind}s',
                           json={kind: {'name': 'benchmark', **values}})
    return wait(session, kind, made[kind]['id'])[0]


def wait(session: Any, kind: str, resource: str,
         interval: float = 0.05) -> tuple[str, int]:
    """Wait until a resource is available.

    :returns: its id, and the number of requests
    :raises Failed: it ended in error, or did not end in ten minutes
    """
    deadline = time.monotonic() + _PATIENCE
    asked = 0
    while time.monotonic() < deadline:
        found = session.get('cinder', f'/{kind}s/{resource}')[kind]
        asked += 1
        if found['status'] == 'available':
            return resource, asked
        if found['status'].startswith('error'):
            raise results.Failed(f'{kind} {resource}: {found["status"]}: '
                                 f'{found.get("fail_reason")}')
        time.sleep(interval)
    raise results.Failed(f'{kind} {resource} is {found["status"]} after '
                         f'{_PATIENCE} s')


class Copies:
    """Copies of a chain, and the chain itself.

    :param database: the file with Cinder's database
    :param storage: the directory with the backups
    :ivar chains: all of them
    """

    def __init__(self, chain: Chain, database: pathlib.Path,
                 storage: pathlib.Path):
        self._chain = chain
        self._database = database
        self._storage = storage
        self.chains = [chain]

    def add(self, count: int) -> None:
        """Make so many copies."""
        new = [Chain.new() for _ in range(count)]
        for copy in new:
            self.copy_files(copy)
        with self._writing() as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute(
                'SELECT * FROM backups WHERE id IN (?, ?)',
                (self._chain.full, self._chain.incremental))]
            for row in rows:
                columns = ', '.join(row)
                values = ', '.join('?' * len(row))
                database.executemany(
                    # The names are those that Cinder's schema has.
                    f'INSERT INTO backups ({columns}) '  # noqa: S608
                    f'VALUES ({values})',
                    [[self._chain.renamed(value, copy)
                      if isinstance(value, str) else value
                      for value in row.values()] for copy in new])
        self.chains += new

    def copy_files(self, other: Chain) -> None:
        """Make a copy on the storage alone, without rows."""
        for backup in (self._chain.full, self._chain.incremental):
            for source in (self._storage / _container(backup)).iterdir():
                target = (
                    self._storage /
                    _container(self._chain.renamed(backup, other)) /
                    self._chain.renamed(source.name, other))
                target.parent.mkdir(parents=True, exist_ok=True)
                if source.name.endswith(('_metadata', '_sha256file')):
                    target.write_text(
                        self._chain.renamed(source.read_text(), other))
                else:
                    os.link(source, target)

    def lose(self) -> None:
        """Delete the rows of all of them."""
        ids = [(backup,) for chain in self.chains
               for backup in (chain.incremental, chain.full)]
        with self._writing() as database:
            database.executemany(
                'DELETE FROM backup_metadata WHERE backup_id = ?', ids)
            database.executemany('DELETE FROM backups WHERE id = ?', ids)

    def check(self) -> None:
        """Check that all of them are available, with their parents.

        :raises Failed: one is not
        """
        with contextlib.closing(self._open()) as database:
            found = {row[0]: row[1:] for row in database.execute(
                'SELECT id, volume_id, parent_id, status FROM backups '
                'WHERE NOT deleted')}
        for chain in self.chains:
            for backup, parent in ((chain.full, None),
                                   (chain.incremental, chain.full)):
                if found.get(backup) != (chain.volume, parent, 'available'):
                    raise results.Failed(f'backup {backup} came back as '
                                         f'{found.get(backup)}')

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._database, timeout=60,
                               isolation_level=None)

    @contextlib.contextmanager
    def _writing(self) -> Any:
        with contextlib.closing(self._open()) as database:
            # Cinder writes as well: a transaction that reads first and then
            # writes is refused.
            database.execute('BEGIN IMMEDIATE')
            yield database
            database.execute('COMMIT')


def _container(backup: str) -> str:
    """The directory of a backup, by Cinder's drivers for directories."""
    return f'{backup[:2]}/{backup[2:4]}/{backup}'
