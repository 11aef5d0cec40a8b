# SPDX-License-Identifier: Apache-2.0

"""The benchmarks' arithmetic and command line; nothing is timed."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import signal
import sqlite3
import sys
import threading
import time
import types
from unittest import mock

import fixtures
import testtools

from benchmarks import __main__ as program
from benchmarks import backups
from benchmarks import ceph
from benchmarks import chains
from benchmarks import cloud
from benchmarks import costs
from benchmarks import histories
from benchmarks import imports
from benchmarks import results
from benchmarks import start
from benchmarks import steps
from benchmarks import suite
from benchmarks import verification
from cinder_backup_recovery_tests import facts
from reference_drivers import restoring
from tests import programs

MIB = results.MIB


def series(*seconds):
    return results.Series(list(seconds), [one / 2 for one in seconds])


def backup():
    return results.Backup(
        'none', 100 * MIB, chunks=10, stored=100 * MIB, steps={
            results.PLAIN: series(0.8, 1.6, 0.8),
            results.PRESENCE: series(0.001, 0.001, 0.001),
            results.CONTENT: series(1.0, 2.0, 1.0),
            results.REFERENCE: series(4.0, 9.0, 4.0),
            results.IN_TREE: series(3.0, 6.0, 3.0),
            results.PROVE: series(1.0, 2.0, 1.0)})


def listing(chunks, *export):
    return results.Listing(chunks, {
        results.PRESENCE: series(0.5, 0.7, 0.6),
        results.EXPORT: series(*(export or (0.6, 0.8, 0.7))),
        results.IN_TREE_EXPORT: series(0.1, 0.1, 0.1)})


class RatioTest(testtools.TestCase):
    """A wrong ratio would show a slow verification as a fast one."""

    def test_within_a_round(self):
        """A round in which others took the machine changes nothing."""
        # The quotient of the medians would be 0.3.
        self.assertEqual(2, results.ratio(series(2, 20, 3),
                                          series(1, 10, 10)))

    def test_without_the_start(self):
        self.assertEqual(3, results.ratio(series(2, 4, 3), series(0.5, 1, 0.1),
                                          series(0.5, 1, 1)))

    def test_above_one_is_faster(self):
        self.assertEqual(4, results.ratio(series(4), series(1)))

    def test_rounds_that_are_missing(self):
        self.assertRaises(ValueError, results.ratio, series(1, 2), series(1))


class RoundsTest(testtools.TestCase):
    def test_each_starts_with_another_step(self):
        ran = []
        with contextlib.redirect_stderr(io.StringIO()) as progress:
            made = results.in_turns({name: lambda name=name: ran.append(name)
                                     for name in 'abc'}, 4)
        # Before its steps, which may take minutes.
        self.assertEqual([f'round {number} of 4' for number in range(1, 5)],
                         progress.getvalue().splitlines())
        self.assertEqual('abcbcacababc', ''.join(ran))
        self.assertEqual([4] * 3, [len(one.seconds) for one in made.values()])


class VerdictTest(testtools.TestCase):
    def verdicts(self, one, listings=()):
        return [(made.measured, made.met)
                for made in verification.verdicts([one], listings)]

    def test_met(self):
        self.assertEqual([('0.80', True), ('3.00', True), ('1.00', True)],
                         self.verdicts(backup()))

    def test_missed(self):
        one = backup()
        one.steps[results.CONTENT] = series(1.1, 2.2, 1.1)
        self.assertEqual([('0.73', False), ('2.73', False), ('1.10', True)],
                         self.verdicts(one))

    def test_what_is_shown_is_what_is_judged(self):
        one = backup()
        one.steps[results.PLAIN] = series(0.796, 1.592, 0.796)
        self.assertEqual(('0.80', True), self.verdicts(one)[0])

    def test_several_blocks_at_once(self):
        """Only uncompressed chunks have little else to compute."""
        one = backup()
        one.steps[results.HASHLIB] = series(1.2, 2.4, 1.2)
        made = {}
        for one.compression in ('none', 'zstd'):
            wanted = verification.verdicts([one], [])[0]
            made[one.compression] = wanted.wanted, wanted.met
            self.assertIn(' 1.20 ', verification.ratios_table([one]))
        self.assertEqual({'none': ('at least 1.50', False),
                          'zstd': ('at least 0.80', True)}, made)

    def test_beside_another_program(self):
        one = backup()
        one.steps['borg'] = series(4.0, 7.0, 4.0)
        one.steps['borg, empty'] = series(1.5, 1.5, 0.5)
        self.assertEqual(['borg'], one.programs)
        made = verification.verdicts([one], [])[3]
        self.assertEqual(('none: L2 as fast as borg', '2.75', False),
                         (made.goal, made.measured, made.met))
        self.assertIn('borg', verification.ratios_table([one, backup()]))

    def test_export(self):
        self.assertEqual(
            [[('1.00', True)], [('1.17', False)]],
            [self.verdicts(backup(), [listing(10), other])[3:] for other in
             (listing(1000), listing(1000, 0.7, 0.9, 0.8))])


class TableTest(testtools.TestCase):
    def test_steps(self):
        lines = results.steps_table(backup().steps, 100 * MIB,
                                    [results.PRESENCE]).splitlines()
        self.assertEqual(['L2', '1.000', '1.000', '2.000', '0.500', '100'],
                         lines[5].split())
        self.assertEqual(['L1', '0.001', '0.001', '0.001', '0.001', '-'],
                         lines[4].split())
        self.assertEqual(1, len({len(lines[one]) for one in (0, 2, -1)}))

    def test_ratios(self):
        self.assertEqual(['none', '0.80', '-', '3.00', '0.75'],
                         verification.ratios_table([backup()]).splitlines()[3]
                         .split())

    def test_listings(self):
        self.assertEqual(['10,000', '0.6000', '0.7000', '0.1000'],
                         verification.listings_table([listing(10000)])
                         .splitlines()[3].split())


class ProgramTest(testtools.TestCase):
    """A user's mistakes are reported at once, and nothing stays behind."""

    def setUp(self):
        super().setUp()
        self.room = self.useFixture(fixtures.TempDir()).path

    def run_program(self, *argv):
        with mock.patch('tempfile.tempdir', self.room):
            code, _, errors = programs.call(program.main, 'verification',
                                            *argv)
        self.assertEqual([], os.listdir(self.room))
        return code, errors

    def test_arguments(self):
        for argv, reason in (
                (['--size', '0'], 'from 1 to 8192'),
                (['--size', '9000'], 'from 1 to 8192'),
                (['--size', 'much'], 'is not a number'),
                (['--chunk', '32769'], 'multiple of 32768'),
                (['--listed', '100001'], 'from 1 to 100000'),
                (['--compression', 'lzma'], 'invalid choice'),
                (['--json', self.room], 'cannot be written')):
            code, errors = self.run_program(*argv)
            self.assertEqual(3, code)
            self.assertIn(reason, errors)

    def run_beside(self, program):
        """A run with a program that is not the real one."""
        path = self.useFixture(fixtures.TempDir()).path
        if program:
            with open(os.path.join(path, 'borg'), 'w') as stream:
                stream.write(f'#!/bin/sh\n{program}\n')
            os.chmod(stream.name, 0o755)
        self.useFixture(fixtures.EnvironmentVariable(
            'PATH', f'{path}:/bin:/usr/bin' if program else path))
        return self.run_program(
            '--size', '1', '--chunk', '327680', '--compression', 'none',
            '--rounds', '1', '--listed', '--compare', 'borg')

    def test_a_program_that_is_not_installed(self):
        code, errors = self.run_beside(None)
        self.assertEqual((3, 'error: borg is not installed: apt-get install '
                             'borgbackup\n'), (code, errors))

    def test_a_program_that_fails(self):
        code, errors = self.run_beside('echo "no lock" >&2; exit 2')
        self.assertEqual(3, code)
        self.assertIn('error: borg init ended with 2: no lock', errors)

    def test_a_program_that_has_stored_too_little(self):
        """The time to read nothing would be called slow or fast."""
        code, errors = self.run_beside(
            'mkdir -p "$BORG_REPO" && echo data > "$BORG_REPO/1"')
        self.assertEqual(3, code)
        self.assertIn('borg has not stored everything', errors)

    def test_no_room(self):
        with mock.patch('shutil.disk_usage') as usage:
            usage.return_value.free = 100 * MIB
            code, errors = self.run_program()
        self.assertEqual(3, code)
        self.assertIn('100 MiB free', errors)
        self.assertIn('smaller --size, or another TMPDIR', errors)

    def test_interrupted(self):
        def interrupt(path, size):
            self.assertTrue(path.startswith(self.room), path)
            raise KeyboardInterrupt

        self.useFixture(fixtures.MonkeyPatch(
            'benchmarks.steps.write_volume', interrupt))
        self.assertEqual((130, 'interrupted'),
                         (lambda code, errors: (code, errors.split()[-1]))(
                             *self.run_program('--size', '1')))

    def test_a_verification_that_reports_a_good_backup(self):
        """No figure is shown for what is wrong."""
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.verification.content._Blocks._close',
            mock.Mock(side_effect=ValueError('differs'))))
        code, errors = self.run_program(
            '--size', '1', '--chunk', '327680', '--compression', 'none',
            '--rounds', '1', '--listed', '--compare')
        self.assertEqual(3, code)
        self.assertIn('a good backup is reported', errors)

    def test_a_whole_run(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'json')
        code, errors = self.run_program(
            '--size', '1', '--chunk', '327680', '--rounds', '1', '--listed',
            '2', '20', '--compare', '--json', path)
        self.assertEqual(0, code, errors)
        with open(path, encoding='utf-8') as stream:
            made = json.load(stream)
        self.assertEqual(['none', 'zlib', 'zstd'],
                         [one['compression'] for one in made['backups']])
        self.assertEqual([4] * 3, [one['chunks'] for one in made['backups']])
        stored = [one['stored'] for one in made['backups']]
        self.assertGreater(stored[0], MIB)
        self.assertLess(stored[1], 0.8 * MIB)
        self.assertEqual([2, 20],
                         [one['chunks'] for one in made['listings']])
        # Without restic and borg: three of each compression, one of export.
        self.assertEqual(10, len(made['verdicts']))
        self.assertIn('zstd', made['machine'])
        self.assertEqual(1, made['options']['rounds'])


class BackupsTest(testtools.TestCase):
    """Swift is measured by hand; here is a directory."""

    def setUp(self):
        super().setUp()
        self.json = os.path.join(self.useFixture(fixtures.TempDir()).path,
                                 'json')
        self.room = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MonkeyPatch('tempfile.tempdir', self.room))

    def run_program(self, *arguments):
        code, _, errors = programs.call(
            program.main, 'backups', '--size', '32', '--chunk', MIB,
            '--chain', '2', '--rounds', '1', '--storage', 'directory',
            *arguments)
        self.assertEqual([], os.listdir(self.room))
        return code, errors

    def test_verdicts(self):
        made = backups.verdicts('swift', {
            results.BACKUP: series(1, 2), results.IN_TREE_BACKUP:
            series(2, 2), results.REFERENCE: series(1, 1), results.IN_TREE:
            series(2.5, 2.5), results.CHAIN: series(1.3, 1.2)})
        self.assertEqual(
            [('1.50', False), ('2.50', True), ('1.25', False)],
            [(one.measured, one.met) for one in made])

    def test_a_whole_run(self):
        self.useFixture(fixtures.MonkeyPatch('benchmarks.backup_steps.DATA',
                                             2))
        code, errors = self.run_program('--sparse', '1', '--json', self.json)
        self.assertEqual(0, code, errors)
        with open(self.json, encoding='utf-8') as stream:
            made = json.load(stream)
        self.assertEqual(4, len(made['verdicts']))
        self.assertEqual(6, len(made['directory']))
        self.assertEqual(1, len(made['sparse']))

    def test_a_restore_that_is_wrong(self):
        """No figure is shown for it."""
        write = restoring.Part.write
        self.useFixture(fixtures.MonkeyPatch(
            'reference_drivers.restoring.Part.write',
            lambda part, data: write(part, bytes(len(data)))))
        code, errors = self.run_program()
        self.assertEqual(3, code)
        self.assertIn('restore, reference: the restored volume differs',
                      errors)


class CephTest(testtools.TestCase):
    """The cluster is measured by hand; here is what needs none."""

    def verdicts(self, sparse):
        made = ceph.verdicts({
            ceph.EXPORT: series(1.1, 2.1, 1.1),
            'rbd export, empty': series(0.1, 0.1, 0.1),
            ceph.DIGEST: series(1.0, 2.0, 2.0),
            ceph.OF_SPARSE: sparse})
        return [(one.measured, one.met) for one in made]

    def test_verdicts(self):
        self.assertEqual([('1.00', True), ('1.10', True)],
                         self.verdicts(series(1.1, 2.2, 2.1)))
        self.assertEqual([('1.00', True), ('2.00', False)],
                         self.verdicts(series(2.0, 4.0, 4.1)))

    def refused(self, missing):
        with (mock.patch('local_cloud.servers.ceph_packages.'
                         'missing_for_cinder', return_value=missing),
              mock.patch('psutil.virtual_memory') as memory):
            memory.return_value.available = 639 * MIB
            code, _, errors = programs.call(program.main, 'ceph', '--size',
                                            128)
        self.assertEqual(3, code)
        return errors

    def test_without_ceph(self):
        self.assertEqual('error: Ceph is not installed\n',
                         self.refused('Ceph is not installed'))

    def test_without_memory(self):
        self.assertEqual('error: there are 639 MiB of memory free, 640 are '
                         'needed; choose a smaller --size\n', self.refused(''))


class PlainTest(testtools.TestCase):
    """The step that L2 is compared with reads and hashes everything."""

    def test_an_error_in_a_thread(self):
        self.assertRaises(FileNotFoundError, steps.plain,
                          ['/nowhere/chunk'], 'none', 2)

    def test_hash(self):
        import hashlib
        import zlib

        import zstd
        content = bytes(range(256)) * 8192
        wanted = hashlib.sha256(content).hexdigest()
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'a')
        for name, stored in (('none', content),
                             ('zlib', zlib.compress(content)),
                             ('zstd', zstd.compress(content))):
            with open(path, 'wb') as stream:
                stream.write(stored)
            self.assertEqual(wanted, steps.sha256(path, name))


def run(*argv):
    """The exit code, the output and the errors of a program."""
    return programs.call(program.main, *argv)


class ArgumentsTest(testtools.TestCase):
    """A user's mistakes are reported before anything is started."""

    def test_arguments(self):
        for argv, reason in (
                ([], 'NAME'),
                (['cloud', '--records', '5'], 'a multiple of 2'),
                (['cloud', '--records', '30000'], 'from 4 to 20000'),
                (['cloud', '--workers', '0'], 'from 1 to 16'),
                (['cloud', '--backup', 'swift'], 'invalid choice'),
                (['start', '--rounds', '0'], 'from 1 to 50'),
                (['histories', '--histories', '0'], 'from 1 to 100000'),
                (['start', '--bus', 'dbus'], 'invalid choice'),
                (['start', '--json', '/'], 'cannot be written'),
                (['suite'], 'required'),
                (['suite', 'a', '--alone', '1', '2', 'nan'], 'of seconds')):
            code, _, errors = run(*argv)
            self.assertEqual(3, code, argv)
            self.assertIn(reason, errors)

    def test_no_room(self):
        with mock.patch('shutil.disk_usage') as usage:
            usage.return_value.free = 100 * MIB
            code, _, errors = run('cloud')
        self.assertEqual(3, code)
        self.assertIn('choose a smaller --records', errors)

    def test_what_is_not_installed(self):
        from local_cloud import exceptions
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.requirements.check', mock.Mock(
                side_effect=exceptions.MissingPackage('no glance'))))
        for name in ('cloud', 'start', 'histories'):
            self.assertEqual((3, '', 'error: no glance\n'), run(name))


class HistoriesTest(testtools.TestCase):
    """Histories on a cloud, which a certification carries out."""

    def test_steps_of_a_report(self):
        tests = [{'seconds': 20.0, 'histories': {'steps': 10}},
                 {'seconds': 10.0, 'histories': {'steps': 2}},
                 {'seconds': 1.0, 'histories': None}]
        with (mock.patch.object(histories, '_ended', return_value=2) as ended,
              mock.patch.object(suite, 'load', return_value={
                  'tests': tests})):
            self.assertEqual([{'steps': 10, 'seconds': 20.0},
                              {'steps': 2, 'seconds': 10.0}],
                             histories._on_cloud(2))
            self.assertIn('connect.history_count=2', *ended.call_args.args)
            # A cloud that could not be started has no report.
            ended.return_value = 3
            error = self.assertRaises(results.Failed, histories._on_cloud, 2)
        self.assertIn('no history ran', str(error))

    def test_interrupted(self):
        """The program gets to take its cloud down."""
        room = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        code = (
            'import pathlib, signal, sys\n'
            'room = pathlib.Path(sys.argv[1])\n'
            'try:\n'
            '    (room / "up").touch()\n'
            '    signal.pause()\n'
            'except KeyboardInterrupt:\n'
            '    (room / "up").rename(room / "down")\n')

        def interrupt(*_):
            raise KeyboardInterrupt

        def wait_and_end():
            while not (room / 'up').exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGUSR1)

        before = signal.signal(signal.SIGUSR1, interrupt)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        thread = threading.Thread(target=wait_and_end, daemon=True)
        thread.start()
        self.assertRaises(KeyboardInterrupt, histories._ended,
                          [sys.executable, '-c', code, str(room)])
        self.assertEqual(['down'], os.listdir(room))
        self.assertEqual(3, histories._ended(
            [sys.executable, '-c', 'raise SystemExit(3)']))


def phase(what='import', workers=1, **values):
    return cloud.Phase(**{
        'what': what, 'workers': workers, 'records': 1000, 'seconds': 100.0,
        'requests': [0.1, 0.2, 0.3], 'waits': [0.2, 0.2, 0.4], 'polls': 2500,
        'client': 5.0, 'cpu': {'cinder': 40.0, 'glance': 0.0},
        'memory': {100: 200 * MIB, 1000: 208 * MIB}, **values})


class CloudTest(testtools.TestCase):
    def test_rate_and_growth(self):
        self.assertEqual((10, 1.04), (phase().rate, phase().growth))

    def test_verdicts(self):
        made = cloud.verdicts([phase(), phase(memory={100: 10, 1000: 11})])
        self.assertEqual([('1.04', True), ('1.10', False)],
                         [(one.measured, one.met) for one in made])
        self.assertIn('100th', made[0].goal)

    def test_rates(self):
        table = cloud.rates_table([phase(), phase('export', 2, waits=[])])
        self.assertEqual(
            ['import, 1', '10.0', '200.0', '200.0', '2.5', '200.0', '208.0'],
            table.splitlines()[3].rsplit(None, 6))
        self.assertEqual('-', table.splitlines()[4].split()[4])

    def test_work(self):
        self.assertEqual(
            [['all', '45.0', '22.5'], ['client', '5.0', '2.5'],
             ['cinder', '40.0', '20.0']],
            [line.split() for line in cloud.work_table(
                [phase(), phase(records=2000)]).splitlines()[3:-1]])

    def test_memory_of_cinder(self):
        spent = {name: costs.Cost(0, number) for number, name in enumerate(
            ('keystone', 'cinder', 'cinder-backup', 'rabbitmq'))}
        self.assertEqual(3, cloud.memory(spent))

    def level(self, has, wanted):
        path = self.useFixture(fixtures.TempDir()).join('cinder.conf')
        with open(path, 'w') as stream:
            stream.write(f'[DEFAULT]\nhost = a%b\n{has}')
        local = mock.Mock()
        local.state.config.return_value = path
        cloud.set_level(local, types.SimpleNamespace(
            backup='default', bus='memory', level=wanted))
        with open(path) as stream:
            return stream.read(), local.cloud.mock_calls

    def test_level(self):
        section = '[backup_import_verify]\nlevel = content\n'
        text, calls = self.level(section, 'presence')
        self.assertIn('host = a%b', text)
        self.assertIn('level = presence', text)
        self.assertEqual([mock.call.stop('cinder'),
                          mock.call.up('default', bus='memory')], calls)
        for has, wanted in ((section, 'content'), ('', 'presence')):
            self.assertEqual([], self.level(has, wanted)[1])


class ChainsTest(testtools.TestCase):
    """Copies that Cinder would not know as backups measure nothing."""

    def setUp(self):
        super().setUp()
        self.room = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.chain = chains.Chain.new()
        self.database = self.room / 'sqlite'
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            database.execute('CREATE TABLE backups (id, volume_id, parent_id,'
                             ' container, size, status, deleted)')
            database.execute('CREATE TABLE backup_metadata (backup_id)')
            for backup, parent in ((self.chain.full, None),
                                   (self.chain.incremental, self.chain.full)):
                container = f'{backup[:2]}/{backup[2:4]}/{backup}'
                database.execute(
                    'INSERT INTO backups VALUES (?, ?, ?, ?, 1, "available", '
                    '0)', (backup, self.chain.volume, parent, container))
                (self.room / container).mkdir(parents=True)
                name = f'volume_{self.chain.volume}_1_backup_{backup}'
                for end, text in (('-00001', backup), ('_metadata', backup)):
                    (self.room / container / f'{name}{end}').write_text(text)
            database.commit()
        self.copies = chains.Copies(self.chain, self.database, self.room)

    def rows(self):
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            return {row[0]: row[1:] for row in database.execute(
                'SELECT id, parent_id, container, size FROM backups')}

    def test_copies(self):
        self.copies.add(2)
        self.copies.check()
        self.assertEqual(3, len(self.copies.chains))
        one = self.copies.chains[2]
        parent, container, size = self.rows()[one.incremental]
        self.assertEqual((one.full, 1), (parent, size))
        self.assertTrue(container.startswith(one.incremental[:2] + '/'))
        prefix = (self.room / container /
                  f'volume_{one.volume}_1_backup_{one.incremental}')
        self.assertEqual(one.incremental,
                         pathlib.Path(f'{prefix}_metadata').read_text())
        # The first chunk is a link.
        self.assertEqual(3, os.stat(f'{prefix}-00001').st_nlink)

    def test_lost(self):
        self.copies.add(1)
        self.copies.lose()
        self.assertEqual({}, self.rows())
        self.assertIn('came back as None', str(self.assertRaises(
            results.Failed, self.copies.check)))

    def test_wait(self):
        answers = [{'backup': {'status': 'creating'}},
                   {'backup': {'status': 'available'}},
                   {'backup': {'status': 'error', 'fail_reason': 'gone'}}]
        session = mock.Mock(get=mock.Mock(side_effect=answers))
        self.assertEqual(('a', 2), chains.wait(session, 'backup', 'a', 0))
        self.assertEqual('backup a: error: gone', str(self.assertRaises(
            results.Failed, chains.wait, session, 'backup', 'a', 0)))


class CostsTest(testtools.TestCase):
    def test_cost_of_a_process(self):
        import psutil
        made = costs.of_process(psutil.Process())
        self.assertGreater(made.cpu, 0)
        self.assertGreater(made.memory, MIB)

    def failed(self, error):
        with costs.failing():
            raise error

    def test_a_cloud_that_does_not_start(self):
        from local_cloud import exceptions
        self.assertEqual('glance ended', str(self.assertRaises(
            results.Failed, self.failed,
            exceptions.ServiceFailed('glance ended'))))

    def test_a_cloud_that_refuses(self):
        import requests
        error = requests.HTTPError('400', response=mock.Mock(text='why'))
        self.assertEqual('400 why', str(self.assertRaises(
            results.Failed, self.failed, error)))


class ImportsTest(testtools.TestCase):
    LOG = """import time:       100 |        100 |   os
import time: self [us] | cumulative | imported package
import time:       100 |        200 | json
a line of the service | import
import time:         1 |          1 |     deep
import time:         1 |          2 |   cloud.part
import time:         5 |          7 | cloud.wsgi.api
import time:         1 |          1 | late
"""

    def test_names(self):
        """A service is not imported, what it imports is."""
        self.assertEqual(['json', 'cloud.part', 'late', 'os', 'deep'],
                         imports.names(self.LOG.splitlines()))
        self.assertEqual([], imports.names(['no import time: 1']))

    def found(self, text):
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'glance')
        if text:
            path.write_text(text)
        return {'glance': (path, {**os.environ, 'PYTHONPATH': os.pathsep.join(
            [str(pathlib.Path(imports.__file__).parents[1]),
             os.environ.get('PYTHONPATH', '')])})}

    def test_importing(self):
        with start.importing(self.found('json\nno_such_module')) as made:
            self.assertEqual(made.seconds, made.ready['glance'])
            self.assertGreater(made.memory['glance'], MIB)

    def test_a_process_that_ends(self):
        with testtools.ExpectedException(results.Failed, '.*of glance do'):
            with start.importing(self.found('')):
                raise AssertionError('it has ended')


def one_start(seconds, cpu, memory):
    return start.Start({'keystone': seconds - 1, 'rabbitmq': 1.0},
                       {'keystone': cpu}, {'keystone': memory}, seconds)


class StartTest(testtools.TestCase):
    def test_console(self):
        console = start.Console()
        console.say('glance on http://[::1]:2 ... 2.0 s')
        console.ready('keystone', 'http://[::1]:1', 2.0)
        self.assertEqual(['keystone'], list(console.times))

    def test_verdicts(self):
        made = start.verdicts([one_start(6, 3, 120), one_start(9, 3, 120)],
                              [one_start(5, 2, 100), one_start(9, 2, 110)])
        self.assertEqual([('1.10', True), ('1.50', False), ('1.15', True)],
                         [(one.measured, one.met) for one in made])

    def test_table(self):
        alone = one_start(5, 2, MIB)
        del alone.ready['rabbitmq']
        table = start.starts_table([one_start(6, 3, 2 * MIB)], [alone])
        self.assertEqual(
            [['keystone', '5.00', '4.00', '3.00', '2.00', '2.00', '1.00'],
             ['rabbitmq', '1.00', '-', '-', '-', '-', '-'],
             ['all', '6.00', '5.00', '3.00', '2.00', '2.00', '1.00']],
            [line.split() for line in table.splitlines()[3:6]])


def of_test(name, seconds, *steps):
    return {'id': f'a.{name}[id-1]', 'seconds': seconds, 'steps': [
        dataclasses.asdict(one) for one in steps]}


def step(seconds, kind, set_up=False):
    return facts.Step('x', seconds, kind, set_up=set_up)


class SuiteTest(testtools.TestCase):
    """Where a wrong share would send who wants to make the suite faster."""

    SET_UP = step(8.0, facts.FULL, True), step(0.1, facts.EXPORT, True)
    REPORT = [
        of_test('Many.test_a', 5.0, SET_UP[0], step(4.0, facts.RESTORE)),
        of_test('Many.test_b', 9.0, *SET_UP, step(2.0, facts.IMPORT),
                step(4.0, facts.RESTORE)),
        of_test('One.test_c', 1.0, step(3.0, facts.INCREMENTAL, True),
                step(0.5, '')),
        of_test('One.test_d', 0.0)]

    def test_a_class_counts_once(self):
        made = {one.name: (one.seconds, one.unavoidable)
                for one in suite.spent(self.REPORT)}
        self.assertEqual({
            'a.Many.test_a': (5.0, 4.0), 'a.Many.test_b': (9.0, 4.0),
            'a.One.test_c': (1.0, 0), 'a.One.test_d': (0.0, 0),
            'a.Many, set-up': (8.1, 8.0), 'a.One, set-up': (3.0, 3.0)}, made)

    def test_kinds(self):
        found = suite.kinds(suite.spent(self.REPORT))
        self.assertEqual((1, 8.0), found[facts.FULL])
        self.assertEqual((2, 8.0), found[facts.RESTORE])
        # 26.1 seconds in all.
        self.assertEqual((1, 5.0), found['all else'])

    def test_verdicts(self):
        found = suite.kinds(suite.spent(self.REPORT))
        self.assertEqual(
            [('1.37', True), ('2.90', False)],
            [(one.measured, one.met)
             for one in suite.verdicts(found, (4.0, 1.0, 2.0))])

    def run_suite(self, content, *argv):
        room = self.useFixture(fixtures.TempDir()).path
        with open(os.path.join(room, 'results.json'), 'w') as stream:
            stream.write(content if isinstance(content, str)
                         else json.dumps(content))
        return run('suite', room, *argv)

    def test_no_report(self):
        for content, reason in (
                ('{', 'cannot be read'), ([], 'is not a report'),
                ({'schema': 2}, 'is not a report')):
            code, _, errors = self.run_suite(content)
            self.assertEqual(3, code, content)
            self.assertIn(reason, errors)
            self.assertEqual(1, len(errors.splitlines()))
        self.assertIn('No such file', run('suite', '/nowhere')[2])

    def test_report(self):
        self.useFixture(fixtures.MonkeyPatch(
            'cinder_backup_recovery_tests.certification.verdict.document.problems',
            lambda found: []))
        report = {'seconds': 20.0, 'backup': 'swift', 'verdict': 'certified',
                  'tests': self.REPORT}
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'json')
        code, out, errors = self.run_suite(report, '--tests', 1,
                                           '--json', path)
        self.assertEqual((0, ''), (code, errors))
        self.assertIn('swift, 4 tests, certified: 26.1 s', out)
        self.assertIn('test_b', out)
        self.assertNotIn('test_a', out)
        with open(path) as stream:
            self.assertEqual(
                {'times': 2, 'seconds': 8.0},
                json.load(stream)['kinds']['restore'])
        self.assertEqual(
            (3, 'error: the report has no backup and no restore\n'),
            self.run_suite({**report, 'tests': []})[::2])
