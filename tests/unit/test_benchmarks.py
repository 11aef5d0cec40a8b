# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The benchmarks' arithmetic and command line; nothing is timed."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import sqlite3
import types
from unittest import mock
from xml.etree import ElementTree

import fixtures
import testtools

from benchmarks import bulk
from benchmarks import ceph
from benchmarks import chains
from benchmarks import clouds
from benchmarks import imports
from benchmarks import nfs
from benchmarks import plot
from benchmarks import presence
from benchmarks import results
from benchmarks import start
from benchmarks import steps
from benchmarks import suite
from benchmarks import swift
from benchmarks import verification
from cinder_backup_recovery_tests import facts

MIB = results.MIB


def series(*seconds):
    return results.Series(list(seconds), [one / 2 for one in seconds])


def backup(**values):
    return results.Backup(**{
        'compression': 'none', 'size': 100 * MIB, 'chunk': 10 * MIB,
        'chunks': 10, 'stored': 100 * MIB, 'readers': 2, 'memory': 5 * MIB,
        'steps': {results.PLAIN: series(0.8, 1.6, 0.8),
                  results.PRESENCE: series(0.001, 0.001, 0.001),
                  results.CONTENT: series(1.0, 2.0, 1.0),
                  results.REFERENCE: series(4.0, 9.0, 4.0),
                  results.IN_TREE: series(3.0, 6.0, 3.0)}, **values})


def listing(chunks, reads=2, **values):
    return results.Listing(**{
        'chunks': chunks, 'memory': MIB, 'in_tree_memory': 2 * MIB,
        'listings': 1, 'reads': reads, 'driver_info': 2000, 'export_calls': 3,
        'presence': series(0.5, 0.7, 0.6), 'export': series(0.6, 0.8, 0.7),
        'in_tree_export': series(0.1, 0.1, 0.1), **values})


def content(chunks, memory):
    return results.Content(chunks, 4 * MIB, 2, memory)


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


class VerdictTest(testtools.TestCase):
    def verdicts(self, one, listings=(), contents=()):
        return [(made.measured, made.met)
                for made in results.verdicts([one], listings, contents)]

    def test_met(self):
        self.assertEqual([('0.80', True), ('3.00', True), ('0.25', True)],
                         self.verdicts(backup()))

    def test_missed(self):
        one = backup(memory=21 * MIB)
        one.steps[results.CONTENT] = series(1.1, 2.2, 1.1)
        self.assertEqual([('0.73', False), ('2.73', False), ('1.05', False)],
                         self.verdicts(one))

    def test_what_is_shown_is_what_is_judged(self):
        one = backup()
        one.steps[results.PLAIN] = series(0.796, 1.592, 0.796)
        self.assertEqual(('0.80', True), self.verdicts(one)[0])

    def test_beside_another_program(self):
        one = backup()
        one.steps['borg'] = series(4.0, 7.0, 4.0)
        one.steps['borg, empty'] = series(1.5, 1.5, 0.5)
        self.assertEqual(['borg'], one.programs)
        made = results.verdicts([one], [], [])[2]
        self.assertEqual(('none: L2 as fast as borg', '2.75', False),
                         (made.goal, made.measured, made.met))
        self.assertIn('borg', results.ratios_table([one, backup()]))

    def test_what_does_not_grow(self):
        self.assertEqual(
            [('1.09', True), ('3, 3', True), ('0.50', True), ('3, 3', True),
             ('1.00', True), ('2000', True)],
            self.verdicts(backup(), [listing(10), listing(1000)],
                          [content(4, 100), content(16, 109)])[3:])

    def test_what_grows(self):
        worse = listing(1000, reads=1000, memory=3 * MIB, export_calls=1001,
                        export=series(0.7, 0.9, 0.8), driver_info=4096)
        self.assertEqual(
            [('1.11', False), ('3, 1001', False), ('1.50', False),
             ('3, 1001', False), ('1.17', False), ('4096', False)],
            self.verdicts(backup(), [listing(10), worse],
                          [content(4, 100), content(16, 111)])[3:])


class TableTest(testtools.TestCase):
    def test_steps(self):
        lines = results.steps_table(backup()).splitlines()
        self.assertEqual(['L2', '1.000', '1.000', '2.000', '0.500', '100'],
                         lines[5].split())
        self.assertEqual(['L1', '0.001', '0.001', '0.001', '0.001', '-'],
                         lines[4].split())
        self.assertEqual(1, len({len(lines[one]) for one in (0, 2, -1)}))

    def test_ratios(self):
        self.assertEqual(['none', '0.80', '3.00', '0.75', '5.0'],
                         results.ratios_table([backup()]).splitlines()[3]
                         .split())

    def test_listings(self):
        self.assertEqual(['10,000', '0.6000', '1', '2', '1.00', '2.00'],
                         results.listings_table([listing(10000)])
                         .splitlines()[3].split())

    def test_exports(self):
        self.assertEqual(['10,000', '0.7000', '0.1000', '3', '2000'],
                         results.exports_table([listing(10000)])
                         .splitlines()[3].split())

    def test_contents(self):
        self.assertEqual(['64', '4.00', '2', '7.00'],
                         results.contents_table([content(64, 7 * MIB)])
                         .splitlines()[3].split())

    def test_json(self):
        made = json.loads(json.dumps(results.to_dict(
            [backup()], [listing(10)], [content(4, MIB)],
            machine={'cores': 2})))
        self.assertEqual({'cores': 2}, made['machine'])
        self.assertEqual(0.8, made['backups'][0]['ratios']['L2 / plain'])
        self.assertEqual([0.8, 1.6, 0.8],
                         made['backups'][0]['steps']['plain']['seconds'])
        self.assertEqual(9, len(made['verdicts']))


class ProgramTest(testtools.TestCase):
    """What a user gets wrong is told at once, and nothing stays behind."""

    def setUp(self):
        super().setUp()
        self.room = self.useFixture(fixtures.TempDir()).path

    def run_program(self, *argv):
        with (contextlib.redirect_stderr(io.StringIO()) as errors,
              contextlib.redirect_stdout(io.StringIO())):
            code = verification.main(['--directory', self.room, *argv])
        self.assertEqual([], os.listdir(self.room))
        return code, errors.getvalue()

    def test_arguments(self):
        for argv, reason in (
                (['--size', '0'], 'from 1 to 8192'),
                (['--size', '9000'], 'from 1 to 8192'),
                (['--size', 'much'], 'is not a number'),
                (['--chunk', '32769'], 'multiple of 32768'),
                (['--listed', '100001'], 'from 1 to 100000'),
                (['--compression', 'lzma'], 'invalid choice'),
                (['--directory', '/nowhere'], 'name one with --directory'),
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
        """What it takes to read nothing would be called slow or fast."""
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
        self.assertIn('smaller --size', errors)

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
        self.assertEqual([(2, 1, 2, 3), (20, 1, 2, 3)],
                         [(one['chunks'], one['listings'], one['reads'],
                           one['export_calls']) for one in made['listings']])
        self.assertEqual([(4, 65536), (16, 65536)],
                         [(one['chunks'], one['chunk'])
                          for one in made['contents']])


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
        errors = io.StringIO()
        with (mock.patch('local_cloud.servers.ceph_packages.'
                         'missing_for_cinder', return_value=missing),
              mock.patch('psutil.virtual_memory') as memory,
              contextlib.redirect_stderr(errors)):
            memory.return_value.available = 639 * MIB
            self.assertEqual(3, ceph.main(['--size', '128']))
        return errors.getvalue()

    def test_without_ceph(self):
        self.assertEqual('error: Ceph is not installed\n',
                         self.refused('Ceph is not installed'))

    def test_without_memory(self):
        self.assertEqual('error: there are 639 MiB of memory free, 640 are '
                         'needed; take a smaller --size\n', self.refused(''))


class PlainTest(testtools.TestCase):
    """What L2 is compared with reads and hashes everything indeed."""

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
            self.assertEqual(wanted, steps._hash(path, name))


def run(program, *argv):
    """What a program that measures nothing answers, and says of errors."""
    with (contextlib.redirect_stderr(io.StringIO()) as errors,
          contextlib.redirect_stdout(io.StringIO()) as out):
        code = program.main([str(one) for one in argv])
    return code, out.getvalue(), errors.getvalue()


class ArgumentsTest(testtools.TestCase):
    """What a user gets wrong is told at once, before anything is started."""

    def test_arguments(self):
        for program, argv, reason in (
                (bulk, ['--records', '5'], 'a multiple of 2'),
                (bulk, ['--records', '30000'], 'from 4 to 20000'),
                (bulk, ['--workers', '0'], 'from 1 to 16'),
                (bulk, ['--backup', 'swift'], 'invalid choice'),
                (bulk, ['--directory', '/nowhere'], 'name one with'),
                (start, ['--rounds', '0'], 'from 1 to 50'),
                (start, ['--bus', 'dbus'], 'invalid choice'),
                (start, ['--json', '/'], 'cannot be written'),
                (swift, ['--chunks', '100001'], 'from 1 to 100000'),
                (swift, ['--chunks'], 'at least one'),
                (nfs, ['--chunks', '0'], 'from 1 to 100000'),
                (suite, [], 'required'),
                (suite, ['a', '--alone', '1', '2', 'nan'], 'of seconds'),
                (plot, ['a'], 'required'),
                (plot, ['a', '/nowhere/b'], 'cannot be written')):
            code, _, errors = run(program, *argv)
            self.assertEqual(3, code, argv)
            self.assertIn(reason, errors)

    def test_no_room(self):
        for program, option in ((bulk, '--records'), (swift, '--chunks'),
                                (nfs, '--chunks')):
            with mock.patch('shutil.disk_usage') as usage:
                usage.return_value.free = 100 * MIB
                code, _, errors = run(program)
            self.assertEqual(3, code)
            self.assertIn(f'take a smaller {option}', errors)

    def test_what_is_not_installed(self):
        from local_cloud import exceptions
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.requirements.check', mock.Mock(
                side_effect=exceptions.MissingPackage('no glance'))))
        for program in (bulk, start, swift):
            self.assertEqual((3, '', 'error: no glance\n'), run(program))
        with mock.patch('local_cloud.servers.nfs_server.missing',
                        return_value='no ganesha'):
            self.assertEqual((3, '', 'error: no ganesha\n'), run(nfs))
        with (mock.patch('local_cloud.servers.nfs_server.missing',
                         return_value=''),
              mock.patch('local_cloud.servers.nfs_server.cannot_mount',
                         return_value='no client'),
              mock.patch('local_cloud.machine.uml.missing',
                         return_value='No guest either')):
            self.assertEqual((3, '', 'error: no client. No guest either\n'),
                             run(nfs))


def phase(what='import', workers=1, **values):
    return bulk.Phase(**{
        'what': what, 'workers': workers, 'records': 1000, 'seconds': 100.0,
        'requests': [0.1, 0.2, 0.3], 'waits': [0.2, 0.2, 0.4], 'polls': 2500,
        'client': 5.0, 'cpu': {'cinder': 40.0, 'glance': 0.0},
        'memory': {100: 200 * MIB, 1000: 208 * MIB}, **values})


class BulkTest(testtools.TestCase):
    def test_rate_and_growth(self):
        self.assertEqual((10, 1.04), (phase().rate, phase().growth))

    def test_verdicts(self):
        made = bulk.verdicts([phase(), phase(memory={100: 10, 1000: 11})])
        self.assertEqual([('1.04', True), ('1.10', False)],
                         [(one.measured, one.met) for one in made])
        self.assertIn('100th', made[0].goal)

    def test_rates(self):
        table = bulk.rates_table([phase(), phase('export', 2, waits=[])])
        self.assertEqual(
            ['import, 1', '10.0', '200.0', '200.0', '2.5', '200.0', '208.0'],
            table.splitlines()[3].rsplit(None, 6))
        self.assertEqual('-', table.splitlines()[4].split()[4])

    def test_work(self):
        self.assertEqual(
            [['all', '45.0', '22.5'], ['client', '5.0', '2.5'],
             ['cinder', '40.0', '20.0']],
            [line.split() for line in bulk.work_table(
                [phase(), phase(records=2000)]).splitlines()[3:-1]])

    def test_json(self):
        made = json.loads(json.dumps(phase('export', waits=[]).to_dict()))
        self.assertEqual((10, {}, {'1000': 208 * MIB, '100': 200 * MIB}),
                         (made['rate'], made['waits'], made['memory']))
        self.assertEqual({'median': 0.2, 'least': 0.1, 'most': 0.3},
                         made['requests'])

    def test_memory_of_cinder(self):
        costs = {name: clouds.Cost(0, number) for number, name in enumerate(
            ('keystone', 'cinder', 'cinder-backup', 'rabbitmq'))}
        self.assertEqual(3, bulk.memory(costs))

    def level(self, has, wanted):
        path = self.useFixture(fixtures.TempDir()).join('cinder.conf')
        with open(path, 'w') as stream:
            stream.write(f'[DEFAULT]\nhost = a%b\n{has}')
        local = mock.Mock()
        local.state.config.return_value = path
        bulk.set_level(local, types.SimpleNamespace(
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


class CloudsTest(testtools.TestCase):
    def test_cost_of_a_process(self):
        import psutil
        made = clouds.cost(psutil.Process())
        self.assertGreater(made.cpu, 0)
        self.assertGreater(made.memory, MIB)

    def started(self, error):
        local = mock.Mock(setUp=mock.Mock(side_effect=error))
        with mock.patch('local_cloud.fixture.LocalCloud', return_value=local):
            with clouds.started(backup='default'):
                raise AssertionError('it does not start')

    def test_a_cloud_that_does_not_start(self):
        from local_cloud import exceptions
        reason = exceptions.ServiceFailed('glance ended')
        error = fixtures.MultipleExceptions(
            (type(reason), reason, None), (ValueError, ValueError('b'), None))
        self.assertEqual('glance ended', str(self.assertRaises(
            results.Failed, self.started, error)))

    def test_a_cloud_that_refuses(self):
        import requests
        error = requests.HTTPError('400', response=mock.Mock(text='why'))
        self.assertEqual('400 why', str(self.assertRaises(
            results.Failed, self.started, error)))


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


def listed(chunks, requests, pages, reads=0):
    return presence.Listed(chunks, requests, pages, 4, MIB, reads,
                           series(1.0, 2.0), series(0.5))


class SwiftTest(testtools.TestCase):
    def test_pages(self):
        url = 'http://a/v1/AUTH_b/c'
        self.assertEqual(
            [True, False, False, False],
            [swift.is_page(*one) for one in (
                ('GET', f'{url}?format=json&prefix=volume'),
                ('GET', f'{url}/volume_metadata'), ('GET', f'{url}/prefix='),
                ('HEAD', f'{url}?prefix=volume'))])

    def test_counted(self):
        import requests
        real = requests.Session.request
        with mock.patch.object(requests.Session, 'send') as send:
            send.return_value.status_code = 200
            with swift.counted() as asked:
                requests.Session().get('http://a/b')
            requests.Session().get('http://a/c')
        self.assertEqual([('GET', 'http://a/b')], asked)
        self.assertIs(real, requests.Session.request)

    def test_verdicts(self):
        for many, met in ((listed(9999, 6, 3), [True, True]),
                          (listed(9998, 6, 2), [False, True]),
                          (listed(9999, 5, 2), [True, False])):
            self.assertEqual(met, [one.met for one in swift.verdicts(
                [listed(10, 5, 2), many])])

    def test_table(self):
        self.assertEqual(
            ['1,000', '1.500', '0.750', '0.500', '5', '2', '4', '1.00'],
            presence.table([listed(1000, 5, 2)]).splitlines()[3].split())


def of_test(name, seconds, *steps):
    return {'id': f'a.{name}[id-1]', 'seconds': seconds, 'steps': [
        dataclasses.asdict(one) for one in steps]}


def step(seconds, kind, set_up=False):
    return facts.Step('x', seconds, kind, set_up=set_up)


MOUNTS = """\
device rootfs mounted on / with fstype rootfs
device 127.0.0.1:/others mounted on /b with fstype nfs4 statvers=1.1
    opts:    rw
    per-op statistics
            NULL: 1 1 0 44 24 0 0 0 0
         READDIR: 7 7 0 44 24 0 0 0 0
device 127.0.0.1:/backups mounted on /a with fstype nfs4 statvers=1.1
    opts:    rw
    per-op statistics
            NULL: 1 1 0 44 24 0 0 0 0
         READDIR: 3 4 0 44 24 0 0 0 0

"""


class NfsTest(testtools.TestCase):
    def test_operations(self):
        """Those of this mount, and not what was sent again."""
        self.assertEqual({'NULL': 1, 'READDIR': 3},
                         nfs.operations(MOUNTS, '/a'))
        for path in ('/', '/c'):
            self.assertRaises(results.Failed, nfs.operations, MOUNTS, path)

    def test_verdicts(self):
        for many, met in ((listed(9999, 40, 20, 6), True),
                          (listed(9999, 41, 20, 6), False)):
            verdict, = nfs.verdicts([listed(10, 16, 1, 1), many])
            self.assertEqual(met, verdict.met)

    def test_table(self):
        self.assertEqual(
            ['1,000', '1.500', '0.500', '40', '20', '6', '4', '1.00'],
            presence.table([listed(1000, 40, 20, 6)])
            .splitlines()[3].split())


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

    def write(self, content):
        room = self.useFixture(fixtures.TempDir()).path
        with open(os.path.join(room, 'results.json'), 'w') as stream:
            stream.write(content if isinstance(content, str)
                         else json.dumps(content))
        return room

    def test_no_report(self):
        good = {'schema': 2, 'seconds': 1.0, 'tests': []}
        odd = dataclasses.asdict(step(1.0, 'odd'))
        for content, reason in (
                ('{', 'is not JSON'), ([], 'schema 2'),
                ({**good, 'schema': 1}, 'schema 2'),
                ({'schema': 2}, 'verify-report'),
                ({**good, 'tests': [{'id': 'a', 'seconds': 'much',
                                     'steps': []}]}, 'verify-report'),
                ({**good, 'tests': [{'id': 'a', 'seconds': 1,
                                     'steps': [odd]}]}, 'verify-report'),
                (good, 'no backup and no restore')):
            code, _, errors = run(suite, self.write(content))
            self.assertEqual(3, code, content)
            self.assertIn(reason, errors)
            self.assertEqual(1, len(errors.splitlines()))
        self.assertIn('No such file', run(suite, '/nowhere')[2])

    def test_report(self):
        room = self.write({'schema': 2, 'seconds': 20.0, 'backup': 'swift',
                           'verdict': 'certified', 'tests': self.REPORT})
        path = os.path.join(room, 'suite.json')
        code, out, errors = run(suite, room, '--tests', 1, '--json', path)
        self.assertEqual((0, ''), (code, errors))
        self.assertIn('swift, 4 tests, certified: 26.1 s', out)
        self.assertIn('test_b', out)
        self.assertNotIn('test_a', out)
        with open(path) as stream:
            self.assertEqual(
                {'times': 2, 'seconds': 8.0},
                json.load(stream)['kinds']['restore'])


class PlotTest(testtools.TestCase):
    def draw(self, content):
        room = self.useFixture(fixtures.TempDir()).path
        source = os.path.join(room, 'json')
        with open(source, 'w') as stream:
            stream.write(content if isinstance(content, str)
                         else json.dumps(content))
        path = os.path.join(room, 'svg')
        code, _, errors = run(plot, source, path)
        if code:
            self.assertFalse(os.path.exists(path))
            self.assertEqual(1, len(errors.splitlines()))
            return errors
        return [one.text for one in ElementTree.parse(path).iter()
                if one.tag.endswith('}text')]

    def test_each_program(self):
        steps = {'steps': {'<plain>': {'seconds': [1.0, 2.0, 4.0]},
                           'plain, empty': {'seconds': [1.0]}}}
        a_start = [vars(one_start(6, 3, 2 * MIB))]
        for content, wanted in (
                (steps, ['Ceph: seconds', '<plain>', '2']),
                ({'backups': [{**steps, 'compression': 'zlib',
                               'size': MIB}]},
                 ['zlib, 1 MiB: seconds', '<plain>', '2']),
                ({'phases': [phase().to_dict()]},
                 ['Records a second', 'import, 1 at a time', '10',
                  'CPU milliseconds a record', 'import, 1 at a time', '45']),
                ({'starts': {'cloud': a_start, 'imports': a_start}},
                 ['CPU seconds until it is ready', 'keystone', '3']),
                ({'kinds': {'restore': {'seconds': 1234.5}}},
                 ['Seconds of a certification', 'restore', '1,234']),
                ({'swift': [{'chunks': 1000, 'requests': 5,
                             'presence': {'seconds': [1]},
                             'in_tree': {'seconds': [2]}}]},
                 ['Requests of L1 to Swift, by number of chunks', '1,000']),
                ({'nfs': [{'chunks': 10, 'requests': 5,
                           'presence': {'seconds': [1]},
                           'in_tree': {'seconds': [2]}}]},
                 ['Requests of L1 to NFS, by number of chunks', '10'])):
            self.assertEqual(wanted, self.draw(content)[:len(wanted)])

    def test_nothing_to_draw(self):
        for content, reason in (
                ('{', 'is not JSON'), ([], 'nothing that can'),
                (5, 'measure again'), ({'kinds': {}}, 'nothing that can'),
                ({'swift': [{}]}, 'measure again'),
                ({'phases': 'many'}, 'measure again')):
            self.assertIn(reason, self.draw(content))
        self.assertIn('No such file', run(plot, '/nowhere', '/tmp/a')[2])

    def test_scale(self):
        made = plot.svg([plot.Panel('a', [plot.Bar('b', 1, 1, 4),
                                          plot.Bar('c', 0, 0, 0)])])
        self.assertIn('width="92.5"', made)
        self.assertIn('H600', made)
