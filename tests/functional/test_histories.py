# SPDX-License-Identifier: Apache-2.0

"""Histories with Cinder's own code, and with the reference driver."""

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys

import ddt
import fixtures
import testtools

from backup_model import history
from backup_model import running
from cinder_backup_recovery_tests import known_defects
from reference_drivers.contract import binding
from reference_drivers.histories import cloud
from reference_drivers.histories import search

CORPUS = pathlib.Path(__file__).parent / 'histories'
POSIX = 'cinder.backup.drivers.posix.PosixBackupDriver'
REFERENCE = 'reference_drivers.default.DefaultBackupDriver'


def corpus():
    """The short histories of Cinder's defects, by the name of the file."""
    return {path.stem: json.loads(path.read_text())
            for path in sorted(CORPUS.glob('*.json'))}


class HistoriesCase(testtools.TestCase):
    """One cloud for all tests of a class: it takes seconds to make."""

    driver = POSIX

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cloud = cloud.Cloud(binding.Binding(cls.driver))
        cls.cloud.setUp()
        cls.addClassCleanup(cls.cloud.cleanUp)

    def run_steps(self, steps):
        self.cloud.clear()
        return list(running.run(self.cloud, steps))

    def read(self, name):
        return history.read(CORPUS / f'{name}.json')


@ddt.ddt
class CorpusTest(HistoriesCase):
    """Each history of the corpus breaks its promise for its cause."""

    @ddt.data(*corpus())
    def test_history(self, name):
        failures = self.run_steps(self.read(name))
        self.assertIn(tuple(corpus()[name]['cause']),
                      [one.cause for one in failures])

    def test_each_known_defect_has_one(self):
        known = search.known()
        self.assertEqual(set(known.values()),
                         {one['defect'] for one in corpus().values()})
        for one in corpus().values():
            self.assertEqual(one['defect'], known[tuple(one['cause'])])
            self.assertIn(one['defect'], known_defects.DEFECTS)

    def test_imports_that_meet(self):
        """Whatever the seed, some order of a few shows the defect."""
        *steps, both = self.read('answered-at-once-import')
        for first in range(0, 40, 8):
            self.assertIn(('answered', 'at once import'), [
                one.cause for order in range(first, first + 8)
                for one in self.run_steps([*steps, dataclasses.replace(
                    both, arguments={**both.arguments, 'order': order})])])

    def test_same_run_again(self):
        """A seed gives the same histories, and these the same failures."""
        for number in range(6):
            steps = search.drawn(3, number)
            self.assertEqual(*(
                [(one.cause, one.steps) for one in self.run_steps(steps)]
                for _ in range(2)))


class ReferenceTest(HistoriesCase):
    """The reference driver stops what a driver can stop."""

    driver = REFERENCE

    def test_nothing_that_is_not_known(self):
        found = search.Search(self.cloud, seed=1)
        found.run(histories=40)
        self.assertEqual([], found.unknown)


class ProgramTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.output = self.directory / 'output'

    def command(self, *words):
        return [sys.executable, '-W', 'ignore', '-m',
                'reference_drivers.histories', '--output', str(self.output),
                *words]

    def run_program(self, *words):
        return subprocess.run(self.command(*words), capture_output=True,
                              text=True, timeout=600)

    def results(self):
        return json.loads((self.output / 'results.json').read_text())

    def test_replay(self):
        path = CORPUS / f'{next(iter(corpus()))}.json'
        done = self.run_program('--replay', str(path), '--driver', POSIX)
        self.assertEqual(('', 0), (done.stderr, done.returncode))
        self.assertIn(corpus()[path.stem]['defect'], done.stdout)

    def test_search(self):
        done = self.run_program('--histories', '3', '--seed', '1')
        self.assertEqual(('', 0), (done.stderr, done.returncode))
        results = self.results()
        self.assertEqual((3, 1, True), (results['histories'],
                                        results['seed'],
                                        results['complete']))

    def test_stopped(self):
        """Ctrl-C keeps what was found, and leaves nothing behind."""
        process = subprocess.Popen(
            self.command('--seconds', '600', '--driver', POSIX),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={'TMPDIR': str(self.directory)})
        self.addCleanup(process.kill)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=600)
        self.assertEqual(2, process.returncode)
        self.assertIs(False, self.results()['complete'])
        self.assertEqual([self.output], list(self.directory.iterdir()))

    def test_wrong_words(self):
        for words, said in (
                (['--driver', 'no.such.Driver'], 'cannot be imported'),
                (['--driver', 'os.PathLike'], 'is not a backup driver'),
                (['--config-file', '/nonexistent'], 'cannot be read'),
                (['--replay', '/nonexistent'], 'cannot be read'),
                (['--replay', __file__], 'cannot be read'),
                (['--seed', 'x'], 'invalid int value')):
            done = self.run_program(*words)
            self.assertEqual(3, done.returncode, words)
            self.assertIn(said, done.stderr)
            self.assertTrue(done.stderr.startswith('error: '), done.stderr)
            self.assertNotIn('Traceback', done.stderr)

