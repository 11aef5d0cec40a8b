# SPDX-License-Identifier: Apache-2.0

"""A thousand backups in twenty projects: "make many-records".

The same as the tests of thirty backups, at a size at which what grows with the
square of it is seen. It takes some twenty minutes.
"""

import random
import resource
import signal
import time

from backup_recovery import plans
from backup_recovery import records
from tests import cloud_cases
from tests import records_cases
from tests.functional import test_records
from tests.functional import test_records_scan

_KILLS = 20
_PLANNED = 100_000
# Bytes of address space; what is remembered is some 1.3 KiB a record, and the
# file has 2 KiB.
_MEMORY = 384 * 1024 ** 2


class ManyRecordsTest(test_records_scan.ScanTest):
    number = 500
    # A thousand imports on a busy machine, each of which reads the backup.
    patience = 3600
    names = tuple(f'project-{number}' for number in range(1, 20))

    def scan(self, status=0):
        begun = time.monotonic()
        try:
            return super().scan(status)
        finally:
            print(f'scanned in {time.monotonic() - begun:.1f} s', flush=True)

    def test_killed_at_many_moments(self):
        """Killed and run again, it ends in the same way; nothing is twice."""
        self.program('export', self.records)
        self.lose()
        begun = time.monotonic()
        self.plan()
        print(f'planned in {time.monotonic() - begun:.1f} s', flush=True)
        plan = self.plans[-1]
        moments = sorted(random.sample(range(1, 2 * self.number - 1), _KILLS))
        begun, imports = time.monotonic(), self.imports()
        for moment in moments:
            process = self.start('apply', plan, program=test_records.PROGRAM)
            cloud_cases.until(lambda moment=moment, process=process:
                              len(self.rows()) >= moment or
                              process.poll() is not None, moments)
            process.kill()
            self.assertEqual(-signal.SIGKILL, process.wait(), self.output)
        found = self.program('apply', plan)
        seconds = time.monotonic() - begun
        print(f'imported in {seconds:.0f} s, with {_KILLS} kills', flush=True)
        self.assertEqual((2 * self.number, {}), (
            len(found['imported']) + len(found['existing']), found['failed']))
        self.assertEqual(self.expected(), self.rows(), moments)
        self.assertEqual(2 * self.number, self.imports() - imports)
        for project, limits in self.limits().items():
            # As much as is used: Cinder accepts no less.
            self.assertEqual((50, 50, 0), limits, project)

    def test_fifty_proved(self):
        """The volumes of two projects come back, and are the right ones."""
        self.program('export', self.records)
        self.lose()
        self.plan()
        plan = self.plans[-1]

        def timed(*arguments):
            begun = time.monotonic()
            found = self.program(*arguments, plan, '--workers', 2)
            print(f'{arguments[0]} in {time.monotonic() - begun:.1f} s',
                  flush=True)
            self.assertEqual({}, found['failed'])
            return found

        self.assertEqual(2 * self.number, len(timed('apply')['imported']))
        # The first one has a volume, which its lost usage does not count.
        some = [word for project in self.projects[:2]
                for word in ('--project', project)]
        volumes = timed('restore', *some)['restored']
        self.assertEqual({
            chain.incremental for chain in self.chains
            if self.owners[chain.full] in some}, {*volumes})
        self.assertEqual(self.number // 10, len(volumes))
        found = timed('prove', '--basic-connector', '--config-file',
                      self.state.config('cinder'))
        self.assertEqual((volumes, {}, []), (
            found['proved'], found['differing'], found['unanchored']))


class ManyPlannedTest(test_records.RecordsCase):
    """Records that were written, of backups that were never made."""

    number = 1

    def made(self):
        parent = None
        for number in range(_PLANNED):
            one = records_cases.record(
                project=self.projects[number // 10 % len(self.projects)],
                parent_id=parent if number % 10 else None,
                driver_info={'version': 1, 'digests': 'd' * 800})
            yield one
            parent = one.id

    def test_plan(self):
        """They are planned in a bounded address space, and read again."""
        self.assertEqual(_PLANNED, records.write(self.records, self.made()))
        plan = self.temporary / 'plan'
        begun = time.monotonic()
        done = self.call(
            'plan', self.records, plan, program=test_records.PROGRAM,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_AS, (_MEMORY, _MEMORY)))
        print(f'planned {_PLANNED} records in '
              f'{time.monotonic() - begun:.1f} s', flush=True)
        self.assertEqual(0, done.returncode, done.stderr[-2000:])
        items = plans.read(plan).imports
        self.assertEqual(_PLANNED, len(items))
        seen = {None}
        for item in items:
            self.assertTrue(item.parent in seen, item)
            seen.add(item.id)
