# SPDX-License-Identifier: Apache-2.0

"""Histories with Cinder's own code, and with the reference driver."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
from unittest import mock

from cinder import objects
from cinder.backup.drivers import posix
import ddt
import fixtures
import testtools

from backup_model import drawing
from backup_model import history
from backup_model import known
from backup_model import promises
from backup_model import running
from backup_model import telling
from cinder_backup_recovery_tests import known_defects
from reference_drivers.contract import binding
from reference_drivers.contract import environment
from reference_drivers.histories import cloud
from reference_drivers.histories import search
from tests import patched_cinder

POSIX = 'cinder.backup.drivers.posix.PosixBackupDriver'
REFERENCE = 'reference_drivers.default.DefaultBackupDriver'


def corpus():
    """The short histories of Cinder's defects, by the name of the file."""
    return {path.stem: json.loads(path.read_text())
            for path in sorted(known.CORPUS.glob('*.json'))}


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
        return history.read(known.CORPUS / f'{name}.json')

    def shows(self, name, cause):
        return search.shows(self.cloud, self.read(name), cause)


@ddt.ddt
class CorpusTest(HistoriesCase):
    """Each history of the corpus breaks its promise for its cause."""

    @ddt.data(*corpus())
    def test_history(self, name):
        cause = tuple(corpus()[name]['cause'])
        self.assertTrue(self.shows(name, cause))

    @ddt.data(*corpus())
    def test_patch(self, name):
        """Its patch is all that a history wants to keep its promise."""
        cause, defect = tuple(corpus()[name]['cause']), corpus()[name][
            'defect']
        others = set(patched_cinder.PATCHES) - {defect}
        with patched_cinder.patched(self.cloud, *others):
            self.assertTrue(self.shows(name, cause))
        if name.endswith('lost-child'):
            # Only a driver knows of a child without a row.
            return
        with patched_cinder.patched(self.cloud, defect):
            self.assertFalse(self.shows(name, cause))

    def test_each_defect_has_a_patch(self):
        self.assertEqual(set(patched_cinder.PATCHES),
                         set(known.causes().values()))

    def test_each_known_defect_has_one(self):
        causes = known.causes()
        self.assertEqual(set(causes.values()),
                         {one['defect'] for one in corpus().values()})
        for one in corpus().values():
            self.assertEqual(one['defect'], causes[tuple(one['cause'])])
            self.assertIn(one['defect'], known_defects.DEFECTS)

    def test_imports_that_meet(self):
        """With each seed, some order of a few shows the defect."""
        *steps, both = self.read('answered-at-once-import')
        for first in range(0, 40, 8):
            self.assertIn(('answered', 'at once import'), [
                one.cause for order in range(first, first + 8)
                for one in self.run_steps([*steps, dataclasses.replace(
                    both, arguments={**both.arguments, 'order': order})])])

    def test_same_run_again(self):
        """A seed gives the same histories, and these the same failures."""
        for number in range(6):
            steps = drawing.drawn(3, number)
            self.assertEqual(*(
                [(one.cause, one.steps) for one in self.run_steps(steps)]
                for _ in range(2)))


class ReferenceTest(HistoriesCase):
    """The reference driver, on Cinder as it is."""

    driver = REFERENCE

    def test_nothing_that_is_not_known(self):
        found = search.Search(search.at_once(self.cloud), seed=1)
        found.run(histories=60)
        self.assertEqual([], found.unknown)
        for one in found.causes.values():
            self.assertLessEqual(len(one.failure.steps), 8,
                                 telling.story(one.failure))

    def test_parent_in_another_container(self):
        """One that has lost its row is found there for its child."""
        steps = [history.Step(operation, 'admin-1', arguments)
                 for operation, arguments in (
            ('create volume', {'volume': 'v1', 'content': [1, 0, 2, 0, 0, 1]}),
            ('create backup', {'backup': 'b1', 'volume': 'v1',
                               'container': 'another'}),
            ('create backup', {'backup': 'b2', 'volume': 'v1',
                               'incremental': True}),
            ('export', {'backup': 'b1', 'record': 'r1'}),
            ('lose rows', {'backups': ['b1']}),
            ('export', {'backup': 'b2', 'record': 'r2'}),
            ('lose rows', {'backups': ['b2']}))]
        self.assertEqual([], [one for one in self.run_steps(steps)
                              if one.cause not in known.causes()])


def _leaves_metadata(original, self, container, name):
    if not name.endswith('_metadata'):
        original(self, container, name)


def _forgets_a_byte(original, self, backup, volume_id, volume_file, new):
    original(self, backup, volume_id, volume_file, new)
    volume_file.seek(-1, os.SEEK_END)
    volume_file.write(b'!')


def _exports_no_increment(original, self, backup):
    if backup.parent_id:
        raise ValueError('it is incremental')
    return original(self, backup)


def _forgets_the_name(original, self, context, **arguments):
    original(self, context, **arguments)
    arguments['backup'].display_name = None
    arguments['backup'].save()


def _renames_all(original, self, context, **arguments):
    original(self, context, **arguments)
    for one in objects.BackupList.get_all(context):
        one.display_name = 'imported'
        one.save()


@ddt.ddt
class FaultyTest(HistoriesCase):
    """Random histories find a fault that none of them was made for."""

    @ddt.data(
        (posix.PosixBackupDriver, 'delete_object', _leaves_metadata,
         ('storage-is-exact', 'delete leaves')),
        (posix.PosixBackupDriver, 'restore', _forgets_a_byte,
         ('restored-as-it-was', 'wrong')),
        (posix.PosixBackupDriver, 'export_record', _exports_no_increment,
         ('accepted', 'export')),
        (environment.backup_manager.BackupManager, 'import_record',
         _forgets_the_name, ('told-as-it-is', 'import name')),
        (environment.backup_manager.BackupManager, 'import_record',
         _renames_all, ('others-are-untouched', 'import')))
    @ddt.unpack
    def test_fault(self, owner, name, fault, cause):
        original = getattr(owner, name)

        def faulty(*args, **kwargs):
            return fault(original, *args, **kwargs)

        with mock.patch.object(owner, name, faulty):
            for number in range(400):
                failure = next((one for one in self.run_steps(
                    drawing.drawn(4, number)) if one.cause == cause), None)
                if failure:
                    break
        self.assertIsNotNone(failure)

    def test_each_promise_is_needed(self):
        """One that is left out of the model is missed by a test."""
        faults = {'storage-is-exact', 'restored-as-it-was', 'accepted',
                  'others-are-untouched', 'wrong-is-refused'}
        # As in test_histories_operations.
        faults |= {'strangers-are-refused', 'quota-is-kept',
                   'volumes-are-kept'}
        self.assertEqual(set(promises.ALL), faults | {
            one['cause'][0] for one in corpus().values()})


@ddt.ddt
class FaultyHooksTest(HistoriesCase):
    """A driver whose hook for the import accepts all."""

    driver = 'mutants.records.ImportAsksNothing'

    @ddt.data('import of ', 'import with ')
    def test_fault(self, key):
        for number in range(400):
            for one in self.run_steps(drawing.drawn(4, number)):
                if (one.broken.promise == 'wrong-is-refused' and
                        one.broken.key.startswith(key)):
                    return
        self.fail(f'not found: {key}')


class ProgramTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.output = self.directory / 'output'

    def command(self, *words, program=('-m', 'reference_drivers.histories')):
        return [sys.executable, '-W', 'ignore', *program,
                '--output', str(self.output), *words]

    def run_program(self, *words, **named):
        return subprocess.run(self.command(*words, **named),
                              capture_output=True, text=True, timeout=600)

    def results(self):
        return json.loads((self.output / 'results.json').read_text())

    def test_replay(self):
        path = known.CORPUS / f'{next(iter(corpus()))}.json'
        done = self.run_program('--replay', str(path), '--driver', POSIX)
        self.assertEqual(('', 0), (done.stderr, done.returncode))
        self.assertIn(corpus()[path.stem]['defect'], done.stdout)

    def test_no_false_alarm(self):
        """Without the known defects no promise is broken."""
        done = self.run_program('--histories', '120', '--seed', '2',
                                program=('-m', 'tests.patched_histories'))
        self.assertEqual((0, ''), (done.returncode, done.stderr), done.stdout)
        self.assertEqual([], self.results()['causes'])

    def test_defect_without_a_patch(self):
        path = known.CORPUS / 'nothing-needed-is-taken-live-child.json'
        done = self.run_program('--replay', str(path), '--driver', POSIX,
                                program=(
            '-c', 'import sys\nfrom tests import patched_histories\n'
            'from tests import patched_cinder\n'
            "del patched_cinder.PATCHES['deletion-of-parent']\n"
            'sys.exit(patched_histories.main())'))
        self.assertEqual((1, ''), (done.returncode, done.stderr))
        self.assertIn('UNKNOWN', done.stdout)

    def test_search(self):
        """However many processes take part, a seed finds the same."""
        found = []
        for processes in '13':
            done = self.run_program('--histories', '12', '--seed', '1',
                                    '--driver', POSIX,
                                    '--processes', processes)
            self.assertEqual(('', 0), (done.stderr, done.returncode))
            found.append(self.results())
            del found[-1]['seconds']
        self.assertEqual((12, 1, True), (found[0]['histories'],
                                         found[0]['seed'],
                                         found[0]['complete']))
        self.assertEqual(*found)

    def test_killed_process(self):
        process = subprocess.Popen(
            self.command('--seconds', '600'), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            env={'TMPDIR': str(self.directory)})
        self.addCleanup(process.kill)
        process.stdout.readline()
        tasks = pathlib.Path(f'/proc/{process.pid}/task')
        children = [child for one in tasks.glob('*/children')
                    for child in one.read_text().split()]
        os.kill(int(children[0]), signal.SIGKILL)
        _, error = process.communicate(timeout=600)
        self.assertEqual(3, process.returncode)
        self.assertIn('was killed', error)
        self.assertNotIn('Traceback', error)
        self.assertEqual([], list(self.directory.iterdir()))

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
                (['--seed', 'x'], 'invalid int value'),
                (['--processes', '0'], 'at least 1')):
            done = self.run_program(*words)
            self.assertEqual(3, done.returncode, words)
            self.assertIn(said, done.stderr)
            self.assertTrue(done.stderr.startswith('error: '), done.stderr)
            self.assertNotIn('Traceback', done.stderr)

