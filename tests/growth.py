# SPDX-License-Identifier: Apache-2.0

"""The costs of a recovery for ten times as much: "make growth".

Counted, or compared within one run, so that no verdict depends on the clock:
the requests, the bytes that Python has allocated at its most, and the CPU
seconds, of which a linear step takes ten times as many and a quadratic one a
hundred.
"""

import pathlib
import time
import tracemalloc

import fixtures
import testtools

from backup_recovery import applying
from backup_recovery import books
from backup_recovery import exporting
from backup_recovery import journals
from backup_recovery import planning
from backup_recovery import plans
from backup_recovery import work
from benchmarks import steps
from reference_drivers.contract import environment
from reference_drivers.scanning import walk
from reference_drivers.verification import store as stores
from tests import records_cases
from tests.unit import test_records_apply

_CHAIN = 100
_PROJECTS = [f'{number:032x}' for number in range(20)]
_RUNS = 2
_KIB = 1024
_BLOCK = 32 * _KIB


class Measured:
    """The costs of the steps of one size."""

    def __init__(self):
        self.cpu, self.peak = {}, {}

    def step(self, name, function, *arguments, **options):
        """Run a step, for the time and at last for the memory."""
        spent = []
        for _ in range(_RUNS - 1):
            begun = time.process_time()
            function(*arguments, **options)
            spent.append(time.process_time() - begun)
        self.cpu[name] = min(spent)
        tracemalloc.start()
        try:
            made = function(*arguments, **options)
            self.peak[name] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        return made


class GrowthCase(testtools.TestCase):

    def assert_linear(self, small, large, times, bytes_each):
        """Compare the costs of a size with those of a smaller one.

        :param times: how many times as much the larger one is
        :param bytes_each: that each more may take, by the step
        """
        for name, cpu in large.cpu.items():
            more = large.peak[name] - small.peak[name]
            each = more / (self.sizes[-1] - self.sizes[0])
            print(f'{name}: {small.cpu[name]:.3f} and {cpu:.3f} s of CPU, '
                  f'{large.peak[name] / _KIB:.0f} KiB at most, '
                  f'{each:.0f} B for each more', flush=True)
            # What a busy machine adds is less than what a list adds that
            # is made of all backups at each of them.
            self.assertLess(cpu / small.cpu[name], 1.6 * times, name)
            self.assertLess(each, bytes_each[name], name)


class Cloud(test_records_apply.Cloud):
    """A cloud in memory, with twenty projects, that counts.

    :ivar asked: the requests, and how many backups were listed
    """

    def __init__(self, *found):
        super().__init__(*found)
        self.known = {project: (f'project {number}', True)
                      for number, project in enumerate(_PROJECTS)}
        self.roles = set(self.known)
        self.limits = {'backups': -1, 'backup_gigabytes': -1}
        self.records = {one.id: one for one in found}
        self.asked = {}

    def count(self, what, number=1):
        with self.lock:
            self.asked[what] = self.asked.get(what, 0) + number

    def backups(self):
        found = super().backups()
        self.count('listed', len(found))
        return found

    def export(self, backup):
        self.count('export')
        record = self.records[backup.id]
        return record.backup_service, record.backup_url

    def quotas(self, *arguments):
        self.count('quotas')
        return super().quotas(*arguments)

    def session(self, project):
        session = super().session(project)
        real = session.backup, session.request

        def backup(backup_id):
            self.count('backup')
            return real[0](backup_id)

        def request(*arguments, **options):
            self.count('request')
            return real[1](*arguments, **options)

        session.backup, session.request = backup, request
        return session


class ProgramGrowthTest(GrowthCase):
    """A thousand and ten thousand backups, in chains of a hundred."""

    sizes = 1000, 10_000

    def made(self, count):
        parent = None
        for number in range(count):
            one = records_cases.record(
                project=_PROJECTS[number // _CHAIN % len(_PROJECTS)],
                parent_id=parent if number % _CHAIN else None,
                driver_info={'version': 1, 'digests': 'd' * 800})
            yield one
            parent = one.id

    def recovered(self, count):
        """Export, plan and import so many backups.

        :returns: the costs, and the requests by the step
        """
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        # Neither the disk nor this cloud is waited for at each backup.
        self.useFixture(fixtures.MonkeyPatch('os.fsync', lambda number: None))
        self.useFixture(fixtures.MonkeyPatch(
            'backup_recovery.importing._FIRST', 0))
        found = list(self.made(count))
        there = Cloud(*found)
        there.rows = {one.id: records_cases.backup(one) for one in found}
        measured, asked = Measured(), {}

        def counted(cloud, name, function, *arguments, **options):
            cloud.asked.clear()
            made = measured.step(name, function, *arguments, **options)
            asked[name] = {what: number / _RUNS
                           for what, number in cloud.asked.items()}
            return made

        counted(there, 'export', exporting.export, there, path / 'records',
                everything=True)
        empty = Cloud(*found)

        def planned():
            (path / 'plan').unlink(missing_ok=True)
            planning.make(empty, books.Book(path / 'records').load()).write(
                path / 'plan')

        counted(empty, 'plan', planned)
        plan = counted(empty, 'read', plans.read, path / 'plan')
        journal = path / 'journal'

        def imported():
            empty.rows.clear()
            empty.requests.clear()
            journal.unlink(missing_ok=True)
            with journals.Journal(journal) as written:
                return applying.Run(empty, plan, written,
                                    work.Options(patience=600), 2).run()

        report = counted(empty, 'import', imported)
        self.assertEqual((count, {}), (len(report.imported), report.failed))
        return measured, asked

    def test_linear(self):
        """Requests and work grow with the backups, and memory by KiB."""
        (small, few), (large, many) = map(self.recovered, self.sizes)
        projects = {count: min(len(_PROJECTS), count // _CHAIN)
                    for count in self.sizes}
        for count, asked in zip(self.sizes, (few, many), strict=True):
            self.assertEqual({
                'export': {'listed': count, 'export': count},
                'plan': {'listed': 0, 'quotas': projects[count]},
                'read': {},
                'import': {'listed': 0, 'request': count, 'backup': count,
                           'quotas': projects[count]}}, asked)
        self.assert_linear(small, large, 10, {
            'export': 2 * _KIB, 'plan': 4 * _KIB, 'read': 2 * _KIB,
            'import': 4 * _KIB})


class CountingStore(stores.PosixStore):
    """Counts the listings, and the objects that are read."""

    listings = reads = 0

    def entries(self, *arguments):
        CountingStore.listings += 1
        return super().entries(*arguments)

    def pieces(self, *arguments):
        CountingStore.reads += 1
        return super().pieces(*arguments)


class ChainGrowthTest(GrowthCase):
    """Chains of ten and of a hundred backups, in a directory."""

    sizes = 10, 100

    def setUp(self):
        super().setUp()
        self.cinder = self.useFixture(environment.Environment(
            steps.DRIVER, {
                'backup_enable_progress_timer': False,
                'backup_file_size': _BLOCK,
                'backup_sha_block_size_bytes': _BLOCK,
                'backup_compression_algorithm': 'zlib'}))
        volume = self.cinder.create_volume(b'x' * _BLOCK)
        self.chain = []
        for number in range(self.sizes[-1]):
            with open(self.cinder.path(volume.id), 'r+b') as stream:
                stream.write(b'%d' % number)
            self.chain.append(self.cinder.create_backup(
                volume, self.chain[-1] if self.chain else None))
        self.useFixture(fixtures.MonkeyPatch(
            f'{steps.DRIVER}.get_store', lambda driver: CountingStore(driver)))
        self.driver = self.cinder.driver()

    def asked(self, function, *arguments):
        """The listings and the reads of a step."""
        CountingStore.listings = CountingStore.reads = 0
        function(*arguments)
        return CountingStore.listings, CountingStore.reads

    def verify(self, backup):
        self.assertEqual([], self.driver.verify(backup, 'presence').problems)

    def lose_and_import(self, backup, record):
        self.cinder.lose_row(backup.id)
        self.assertEqual('available',
                         self.cinder.import_record(record).status)

    def test_one_backup(self):
        """It is verified with its parents, each of which is read once."""
        costs = {}
        for links in self.sizes:
            backup = self.chain[links - 1]
            record = self.cinder.export(backup)
            measured = costs[links] = Measured()
            for name, step, *arguments in (
                    ('verify', self.verify, backup),
                    ('import', self.lose_and_import, backup, record),
                    ('export', self.cinder.export, backup)):
                self.assertEqual((links, 2 * links),
                                 self.asked(step, *arguments), name)
                measured.step(name, step, *arguments)
        small, large = costs.values()
        # What the store says of a backup: few chunks, and few hashes.
        self.assert_linear(small, large, 10, dict.fromkeys(
            large.cpu, 16 * _KIB))

    def test_all_from_the_storage(self):
        """A scan of them all reads each once, however long the chain is."""
        store = self.driver.get_store()
        found = []
        asked = self.asked(lambda: found.extend(walk.Walk(store, 60).run()))
        self.assertEqual(['complete'] * len(self.chain),
                         [one.kind for one in found])
        self.assertEqual((0, 2 * len(self.chain)), asked)
