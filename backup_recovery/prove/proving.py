# SPDX-License-Identifier: Apache-2.0

"""Compare the restored volumes of a plan with their backups.

The originals are not needed: a record has a digest of the hashes of all
blocks.
"""

from collections import deque
from collections.abc import Collection
import dataclasses
import threading
import time
from typing import Any

from cinder import coordination
from cinder import exception
from cinder import objects
from oslo_config import cfg

from backup_recovery import books
from backup_recovery import exceptions
from backup_recovery import journals
from backup_recovery import plans
from backup_recovery import running
from backup_recovery import volumes
from backup_recovery import work
from backup_recovery.prove import attaching
from reference_drivers import options as driver_options
from reference_drivers import programs
from reference_drivers import verify
from reference_drivers.verification import restored

CONF = cfg.CONF

# Extents of one volume that the journal keeps.
_MOST = 20


@dataclasses.dataclass
class Report(running.Report):
    """The outcome of a run.

    :ivar proved: ids of the volumes that are what was backed up, by the
        backup
    :ivar existing: ids of those that a former run has proved
    :ivar differing: how a volume differs, by the backup
    :ivar unanchored: ids of backups whose record has no digest, so that the
        volume was compared with what the storage says by itself
    """

    proved: dict[str, str] = dataclasses.field(default_factory=dict)
    existing: dict[str, str] = dataclasses.field(default_factory=dict)
    differing: dict[str, str] = dataclasses.field(default_factory=dict)
    unanchored: list[str] = dataclasses.field(default_factory=list)


def _context(session: Any) -> Any:
    """A context of the session's project, with its account if it has one."""
    kind = programs.import_driver(CONF.backup_driver)
    return programs.context_of(
        session.token, session.project_id,
        session.account if programs.has_accounts(kind) else None)


def configure(config_files: list[str], session: Any) -> None:
    """Read Cinder's configuration.

    :param session: of a project, where each has an account in the storage
    :raises RecoveryError: it cannot be used, or has another driver
    """
    try:
        programs.configure(config_files)
        verify.open_driver(CONF.backup_driver, _context(session))
        # Cinder's NFS driver mounts under a lock.
        coordination.COORDINATOR.start()
    except Exception as error:
        # What a driver and its client may raise has no common class.
        raise exceptions.RecoveryError(_line(error)) from error


def _line(error: object) -> str:
    return ' '.join(str(error).split()).rstrip('.')


class Run(running.OfVolumes):
    """One run of a plan, which proves its volumes; Cinder is configured.

    :param options: how long a volume may take to be detached
    :param again: also what a former run has proved
    :param basic: see :class:`attaching.Host`
    :param progress: called with the GiB that are done, and with all
    """

    report: Report

    def __init__(self, cloud: Any, plan: plans.Plan,
                 journal: journals.Journal, options: work.Options,
                 again: bool = False, basic: bool = False, workers: int = 4,
                 progress: running.Progress = lambda done, of: None):
        super().__init__(cloud, plan, journal, Report(), options.stop,
                         workers, progress)
        self._host = attaching.Host(journal, options, basic)
        self._again = again
        self._signers = options.signers

    def run(self, projects: Collection[str] = ()) -> Report:
        """Compare the volumes that ``restore`` has made.

        :param projects: only of these; of all where there are none
        :raises CloudError: the cloud does not answer, or is another one
        :raises BadFile: there is no such volume, or the file of records
            cannot be read
        """
        self.check_cloud()
        self._made = volumes.Made(self._journal)
        items = [item for item in self._plan.items
                 if item.id in self._made.complete and
                 (not projects or item.project in projects)]
        if not items:
            raise exceptions.BadFile('no volume of the plan is restored; '
                                     'restore the plan first')
        proved = {} if self._again else {
            entry['backup']: entry['volume']
            for entry in self._journal.entries
            if entry['event'] == volumes.PROVED}
        self.report.existing = {
            item.id: proved[item.id] for item in items
            if proved.get(item.id) == self._made.volumes[item.id]}
        items = [item for item in items
                 if item.id not in self.report.existing]
        self._all = sum(item.size for item in items)
        self._sessions = self.sessions(items)
        self._book = books.Book(self._plan.records, self._signers).load()
        self._reading = threading.Lock()
        with self._book.reader() as self._read:
            self.carry_out(self._prove, deque(items))
        done = {*self.report.proved, *self.report.differing,
                *self.report.failed}
        self.report.left = [item.id for item in items
                            if item.id not in done]
        return self.report

    def _driver_info(self, item: plans.Item) -> dict[str, Any] | None:
        """The driver's part of the record, None where there is none."""
        summary = self._book.records.get(item.id)
        if summary is None:
            return None
        with self._reading:
            found = self._read(summary).fields.get('driver_info')
        return found if isinstance(found, dict) and found else None

    def _prove(self, item: plans.Item) -> restored.Proof:
        """Compare a volume, in a thread.

        :raises Failed: that is not possible
        """
        session = self._sessions[item.project]
        context = _context(session)
        begin = time.monotonic()
        try:
            driver = verify.open_driver(CONF.backup_driver, context)
            backup = objects.Backup.get_by_id(context, item.id)
            driver.check_access(backup)
            with (self._host.attached(session, item.id,
                                      self._made.volumes[item.id]) as path,
                  restored.Volume(path, CONF[driver_options.GROUP].readers,
                                  self._may_end) as volume):
                proof: restored.Proof = driver.prove(
                    backup, volume, self._driver_info(item))
        except (exception.CinderException, ValueError) as error:
            raise work.Failed(_line(error)) from error
        proof.seconds = time.monotonic() - begin
        if proof.problems:
            raise work.Failed(_line(proof.problems[0]))
        return proof

    def _may_end(self, done: int, total: int) -> None:
        """End a comparison that may take hours."""
        if self._stop.is_set():
            raise work.Interrupted

    def succeed(self, item: plans.Item, result: restored.Proof) -> None:
        volume = self._made.volumes[item.id]
        facts = result.to_dict()
        self._journal.write(
            volumes.PROVED if result.ok else volumes.DIFFERS,
            backup=item.id, volume=volume,
            **{name: facts[name] for name in (
                'anchored', 'extents_omitted', 'bytes_read', 'seconds')},
            extents=facts['extents'][:_MOST])
        if not result.anchored:
            self.report.unanchored.append(item.id)
        if result.ok:
            self.report.proved[item.id] = volume
        else:
            self.report.differing[item.id] = (
                f'volume {volume}: ' + _extents(result))
        super().succeed(item, result)


def _extents(proof: restored.Proof) -> str:
    first = proof.extents[0]
    number = len(proof.extents) + proof.omitted
    return (f'{number} extent{"s" * (number > 1)}, the first {first.kind}: '
            f'{first.length} bytes at {first.offset}')
