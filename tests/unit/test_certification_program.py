# SPDX-License-Identifier: Apache-2.0

"""The program that certifies, with suites that are made for the test."""

import errno
import json
import os
import pathlib
import signal
import sys
from unittest import mock

import fixtures
from testtools import matchers

from cinder_backup_recovery_tests.certification import main
from cinder_backup_recovery_tests.certification.report import writer
from cinder_backup_recovery_tests.certification.run import local_cloud
from cinder_backup_recovery_tests.certification.run import progress
from tests import programs
from tests.unit import suite_cases

# Stands in for the program of the local cloud.
CLOUD = '''\
import json, os, pathlib, shutil, sys
directory = pathlib.Path(sys.argv[2])
verb = sys.argv[3]
with open(os.environ['CALLS'], 'a') as calls:
    calls.write(verb + '\\n')
if verb == 'up':
    if os.environ.get('CLOUD_FAILS') == verb:
        print('error: no port', file=sys.stderr)
        sys.exit(3)
    if os.environ.get('CLOUD_FAILS') == 'up here':
        sys.exit(4)
    if os.environ.get('CLOUD_FAILS') == 'up late':
        (directory / 'etc' / 'cinder').mkdir(parents=True)
        (directory / 'etc' / 'cinder' / 'cinder.conf').write_text(
            '[database]\\nconnection = mysql://cinder:planted@db/cinder\\n')
        (directory / 'logs').mkdir()
        (directory / 'logs' / 'cinder.log').write_text('up with planted')
        sys.exit(3)
    (directory / 'logs').mkdir(parents=True)
    (directory / 'logs' / 'cinder.log').write_text('a line')
    (directory / 'tempest.conf').write_text(
        '[cinder_backup_recovery]\\nbackup_driver = '
        'reference_drivers.default.DefaultBackupDriver\\n')
    (directory / 'options').write_text(' '.join(sys.argv[4:]))
elif os.environ.get('CLOUD_FAILS') == verb:
    print('error: this is how', file=sys.stderr)
    sys.exit(3)
elif verb == 'env':
    print(json.dumps({'OS_PASSWORD': 'a b', 'TEMPEST_CONFIG': 'tempest.conf',
                      'TEMPEST_CONFIG_DIR': str(directory)}))
elif verb == 'status':
    options = (directory / 'options').read_text()
    print(json.dumps({'id': 'mark', 'versions': {
        'cinder': '28.0.0' if '--cinder 2026.1' in options else '29.0.0',
        **({'keys': options.split('--key-manager ')[1].split()[0]}
           if '--key-manager' in options else {}),
        **({'database': '10', 'rabbitmq': '3'}
           if '--database mariadb --bus rabbitmq' in options else {})}}))
elif verb == 'down':
    shutil.rmtree(directory)
'''


class ProgramTest(suite_cases.SuiteTestCase):
    def setUp(self):
        super().setUp()
        program = self.temporary / 'cloud.py'
        program.write_text(CLOUD)
        self.calls = self.temporary / 'calls'
        self.calls.touch()
        for name, value in (('CALLS', self.calls), ('CLOUD_FAILS', ''),
                            ('PYTHONPATH', self.temporary)):
            self.useFixture(fixtures.EnvironmentVariable(name, str(value)))
        self.report = self.temporary / 'report'
        self.command = f'{sys.executable} {program}'
        self.write('''
            class A(testtools.TestCase):
                def test_1(self):
                    assert os.environ['OS_PASSWORD'] == 'a b'
                    assert os.environ['LOCAL_CLOUD_ID'] == 'mark'

                def test_2(self):
                    pass
            ''')

    def program(self, *arguments):
        return programs.call(main.main, *arguments)

    def local(self, *arguments):
        outcome = self.program(
            'local', '--report-dir', self.report, '--local-cloud-command',
            self.command, '--concurrency', 1, *arguments)
        # Whatever happened: the cloud is gone, and its directory.
        calls = self.calls.read_text().split()
        self.assertTrue(not calls or calls[-1] == 'down' or
                        os.environ['CLOUD_FAILS'] == 'up', calls)
        if os.environ['CLOUD_FAILS'] != 'down':
            self.assertEqual([], list(self.temporary.glob('local-cloud-*')))
        return outcome

    def test_cloud_that_needs_another_kernel(self):
        """Nothing is left here, and all begins again there."""
        self.useFixture(fixtures.EnvironmentVariable('CLOUD_FAILS',
                                                     'up here'))
        before = signal.getsignal(signal.SIGTERM)
        with mock.patch('os.execvp', side_effect=SystemExit(0)) as execute:
            code, _, err = self.program(
                'local', '--report-dir', self.report, '--backup', 'nfs',
                '--local-cloud-command', self.command)
            # It would inherit what is ignored.
            self.assertIs(before, signal.getsignal(signal.SIGTERM))
        self.assertEqual((0, ''), (code, err))
        self.assertEqual([], list(self.temporary.glob('local-cloud-*')))
        (program, words), _ = execute.call_args
        self.assertEqual(sys.executable, program)
        self.assertEqual([
            *self.command.split(), 'uml', '--visible', str(self.report),
            '--', sys.executable, '-m', main.__name__, 'local',
            '--report-dir', str(self.report), '--backup', 'nfs',
            '--local-cloud-command', self.command], words)

    def document(self):
        return json.loads((self.report / 'results.json').read_text())

    def test_help(self):
        for arguments in (('--help',), ('local', '--help')):
            code, out, _ = self.program(*arguments)
            self.assertEqual(0, code)
            self.assertIn('exit status: 0 certified', out)

    def test_wrong_arguments(self):
        for arguments in ((), ('moon',), ('local', '--concurrency', 'many'),
                          ('local', '--concurrency', '0'),
                          ('local', '--regex', '('),
                          ('local', '--local-cloud-command', '"'),
                          ('local', '--sideways')):
            code, out, err = self.program(
                *arguments, *(('--report-dir', self.report)
                              if arguments[:1] == ('local',) else ()))
            self.assertEqual((3, ''), (code, out), arguments)
            self.assertTrue(err.startswith('error: '), err)
            self.assertEqual(1, err.count('\n'), err)
        self.assertEqual([], list(self.temporary.glob('local-cloud-*')))

    def test_certified(self):
        code, out, err = self.local()
        self.assertEqual((0, ''), (code, err), out)
        self.assertEqual(['up', 'status', 'env', 'down'],
                         self.calls.read_text().split())
        self.assertIn('[1/2] pass  A.test_1', out)
        self.assertIn('[2/2] pass  A.test_2', out)
        self.assertIn('certified (exit status 0)', out)
        document = self.document()
        self.assertEqual(
            ('certified', 0, [], 'default', {'cinder': '29.0.0'}),
            tuple(document[name] for name in (
                'verdict', 'exit_code', 'reasons', 'backup', 'versions')))
        self.assertEqual(['pass', 'pass'],
                         [t['status'] for t in document['tests']])
        for name in ('date', 'kit', 'machine', 'seconds'):
            self.assertTrue(document[name])
        self.assertEqual('a line', (
            self.report / 'logs' / 'cinder.log').read_text())

    def test_another_release_of_cinder(self):
        """The report says which one ran."""
        code, out, err = self.local('--cinder', '2026.1')
        self.assertEqual((0, ''), (code, err), out)
        self.assertEqual({'cinder': '28.0.0'}, self.document()['versions'])

    def refused(self, *arguments):
        """The error of a run that has started nothing."""
        code, out, err = self.program(
            *arguments, '--report-dir', self.report)
        self.assertEqual((3, ''), (code, out), arguments)
        self.assertTrue(err.startswith('error: '), err)
        self.assertEqual(1, err.count('\n'), err)
        self.assertEqual('', self.calls.read_text())
        self.assertFalse(self.report.exists())
        return err

    def test_keys_that_a_way_does_not_use(self):
        """Their user believes that something else is tested."""
        for verb, key, value in (
                ('local', 'connect.cloud', 'acme'),
                ('local', 'connect.backup_store', 'swift'),
                ('local', 'driver.store', 'x'),
                ('local', 'driver.name', 'x'),
                ('cloud', 'driver.config_files', '[x]'),
                ('cloud', 'run.local_bus', 'rabbitmq'),
                ('driver', 'run.local_backup', 'nfs'),
                ('driver', 'run.concurrency', '3'),
                ('driver', 'connect.cloud', 'acme')):
            self.assertIn(f'{key} is set, and cinder-backup-certify {verb} ',
                          self.refused(verb, '--set', f'{key}={value}'))
        self.assertIn('run.concurrency', self.refused(
            'driver', '--concurrency', '3'))

    def test_another_cloud_wherever_it_is_set(self):
        profile = self.temporary / 'acme.yaml'
        for key, value in (('cloud', 'acme'), ('tempest_conf', 'x'),
                           ('database_url', 'sqlite:///x'),
                           ('database_password', '{env: HOME}')):
            profile.write_text(f'connect: {{{key}: {value}}}\n')
            self.assertIn(f'connect.{key} is set', self.refused(
                'local', '--profile', profile))
        self.useFixture(fixtures.EnvironmentVariable(
            'BACKUP_CERTIFY_CONNECT_CLOUD', 'acme'))
        self.assertIn('connect.cloud is set', self.refused('local'))

    def test_one_profile_for_all_ways(self):
        profile = self.temporary / 'acme.yaml'
        profile.write_text("""
driver:
  name: Acme
  class: reference_drivers.default.DefaultBackupDriver
  config_files: [cinder.conf]
connect:
  backup_store: filesystem
run:
  local_backup: default
""")
        code, out, err = self.local('--profile', profile)
        self.assertEqual((0, ''), (code, err), out)

    def test_the_profile_of_another_driver(self):
        profile = self.temporary / 'acme.yaml'
        profile.write_text('driver: {class: acme.Driver}\n')
        code, out, err = self.local('--profile', profile)
        self.assertEqual(3, code, out)
        self.assertIn('driver.class is acme.Driver, and the local cloud', err)
        self.assertNotIn('[1/', out)

    def test_on_a_server_and_with_a_broker(self):
        code, out, err = self.local('--database', 'mariadb',
                                    '--bus', 'rabbitmq')
        self.assertEqual((0, ''), (code, err), out)
        self.assertEqual(
            {'cinder': '29.0.0', 'database': '10', 'rabbitmq': '3'},
            self.document()['versions'])

    def test_without_a_key_manager_and_with_one(self):
        """Their tests are required as soon as there are keys."""
        for words, denied in (((), ['encrypted_volumes']),
                              (('--key-manager', 'barbican'),
                               ['second_key_manager']),
                              (('--key-manager', 'barbican-each'), []),
                              (('--key-manager', 'fixed'),
                               ['second_key_manager', 'separate_keys'])):
            code, out, err = self.local(*words)
            self.assertEqual((0, ''), (code, err), out)
            self.assertEqual(denied, [
                name for name in self.document()['denied']
                if name in ('encrypted_volumes', 'separate_keys',
                            'second_key_manager')])
            self.assertEqual(words[1:], tuple(
                self.document()['versions'].get('keys', '').split()))

    def test_certified_with_a_known_defect(self):
        self.write('''
            class A(Told):
                def test_1(self):
                    with known_defects.expected(
                            self, self.story.facts,
                            ['import-negative-size'],
                            'import-negative-size'):
                        self.fail('more quota than before')
            ''')
        code, out, err = self.local()
        self.assertEqual((0, ''), (code, err), out)
        self.assertIn('[1/1] known A.test_1', out)
        self.assertIn('\n0 pass, 1 known, 0 skip', out)
        line = 'known defect import-negative-size: the import of a record'
        self.assertEqual(2, out.count(line), out)
        self.assertNotIn('Traceback', out)
        document = self.document()
        self.assertEqual('known', document['tests'][0]['status'])
        defect, = document['known_defects']
        self.assertEqual(['A.test_1'], defect['tests'])
        self.assertEqual('import-negative-size', defect['name'])
        self.assertIn(defect['defect'], line + out)

    def test_failed(self):
        self.write('''
            class A(testtools.TestCase):
                def test_1(self):
                    self.fail('a stale block')
            ''')
        code, out, _ = self.local()
        self.assertEqual(1, code)
        self.assertIn('A.test_1 failed: AssertionError: a stale block', out)
        self.assertEqual('failed', self.document()['verdict'])

    def test_temporary_files_of_the_run(self):
        """Their random names are not in what is published."""
        self.write('''
            class A(testtools.TestCase):
                def test_1(self):
                    self.fail(os.environ['TMPDIR'] + ' ' +
                              os.environ['TEMPEST_CONFIG_DIR'])
            ''')
        code, _, _ = self.local()
        self.assertEqual(1, code)
        self.assertIn('<temporary>/tmp <temporary>/tmp',
                      self.document()['tests'][0]['reason'])
        for path in self.report.rglob('*'):
            self.assertNotIn(b'local-cloud-certify-',
                             path.read_bytes() if path.is_file() else b'')

    def test_filtered(self):
        code, out, _ = self.local('--regex', 'test_2')
        self.assertEqual(2, code)
        self.assertIn('1 of 2 tests', out)
        self.assertIn('1 of 2 tests did not run\n', out)
        self.assertIn('A.test_1\n', out)
        self.assertEqual('not certifiable', self.document()['verdict'])

    def test_filtered_from_many(self):
        """The last lines do not list what was left out by intent."""
        self.write(''.join((
            'class A(testtools.TestCase):\n',
            *(f'    def test_{n}(self):\n        pass\n'
              for n in range(10)))))
        code, out, _ = self.local('--regex', 'test_2')
        self.assertEqual(2, code)
        self.assertIn('9 of 10 tests did not run\n', out)
        self.assertEqual(6, out.count('    small_suite.test_x.A.'), out)
        self.assertIn('and 3 more (listed in the report)', out)
        self.assertEqual(9, len(self.document()['not_run']))

    def test_a_pattern_without_a_match_starts_nothing(self):
        code, _, err = self.local('--regex', 'nothing')
        self.assertEqual(
            (3, 'error: --regex nothing matches none of the 2 tests\n'),
            (code, err))
        self.assertEqual('', self.calls.read_text())

    def test_an_old_report_is_gone(self):
        """And nothing else, also where no new one is made."""
        self.assertEqual(0, self.local()[0])
        (self.report / 'notes').write_text('mine')
        made = {path.name for path in self.report.iterdir()} - {'logs'}
        err = self.local('--regex', 'nothing')[2]
        self.assertIn('--regex nothing matches none', err)
        self.assertEqual({'notes'}, {path.name for path in
                                     self.report.rglob('*') if path.is_file()})
        self.assertEqual(0, self.local()[0])
        self.assertEqual(made, {path.name for path in self.report.iterdir()}
                         - {'logs'})

    def test_what_a_killed_run_has_begun_to_write(self):
        recorder = writer.Report(self.report).recorder()
        self.addCleanup(recorder.close)
        self.assertTrue((self.report / 'results.subunit').exists())
        writer.Report(self.report)
        self.assertEqual([], list(self.report.iterdir()))

    def test_what_is_of_no_report(self):
        """It stays, and nothing is started."""
        self.report.mkdir()
        for name, content in (
                ('results.json', '{}'), ('tiers.json', '{}'),
                ('results.subunit', ''), ('junit.xml', '<testsuite/>'),
                ('report.html', ''), ('logs', 'a file'),
                ('SHA256SUMS', f'{64 * "0"}  precious\n'),
                ('SHA256SUMS', f'{64 * "0"} *junit.xml\n')):
            path = self.report / name
            path.write_text(content)
            (self.report / 'precious').write_text('mine')
            code, _, err = self.local()
            self.assertEqual(3, code)
            self.assertIn(f'error: {path} was not written by this program; '
                          'refusing to overwrite it', err)
            self.assertEqual(content, path.read_text())
            self.assertEqual('mine', (self.report / 'precious').read_text())
            path.unlink()
        self.assertEqual('', self.calls.read_text())

    def test_a_report_that_cannot_be_written(self):
        for place in ('/dev/null/report', '/proc/report', '/proc'):
            self.report = pathlib.Path(place)
            code, _, err = self.local()
            self.assertEqual(3, code)
            self.assertIn(f'error: the report cannot be written to {place}',
                          err)
        self.assertEqual('', self.calls.read_text())

    def test_a_report_that_cannot_be_written_at_the_end(self):
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.useFixture(fixtures.MockPatchObject(
            writer.digests, 'write', mock.Mock(side_effect=full)))
        code, _, err = self.local()
        self.assertEqual(3, code)
        self.assertIn('error: the report cannot be written', err)
        self.assertIn('No space left', err)
        self.assertIn('down', self.calls.read_text())

    def test_a_cloud_that_does_not_start(self):
        self.useFixture(fixtures.EnvironmentVariable('CLOUD_FAILS', 'up'))
        code, _, err = self.local()
        self.assertEqual(3, code)
        self.assertIn('the local cloud did not start (exit status 3)', err)

    def test_a_cloud_that_is_no_use(self):
        for verb in ('env', 'status'):
            self.useFixture(fixtures.EnvironmentVariable('CLOUD_FAILS', verb))
            code, _, err = self.local()
            self.assertEqual(3, code)
            self.assertIn(f'its {verb} failed: error: this is how', err)

    def test_a_cloud_that_stays(self):
        self.useFixture(fixtures.EnvironmentVariable('CLOUD_FAILS', 'down'))
        code, _, err = self.local()
        self.assertEqual(3, code)
        self.assertIn('could not be taken down', err)
        document = self.document()
        self.assertEqual('error', document['verdict'])
        self.assertEqual(2, len(document['tests']))
        self.assertIn('could not be taken down', document['reasons'][0])

    def test_no_program_for_the_cloud(self):
        self.command = '/no/such/program'
        code, _, err = self.local()
        self.assertEqual((3, 'error: /no/such/program: No such file or '
                             'directory\n'), (code, err))

    def test_logs_of_a_cloud_that_does_not_start(self):
        """Kept without secrets, and no part of the next report."""
        with fixtures.EnvironmentVariable('CLOUD_FAILS', 'up late'):
            code, _, err = self.local()
        self.assertEqual(3, code)
        self.assertIn('the local cloud did not start (exit status 3)', err)
        log = self.report / 'logs' / 'cinder.log'
        self.assertThat(log.read_text(), matchers.MatchesRegex('up with .'))
        self.assertNotIn('planted', log.read_text())
        log.rename(log.with_name('keystone.log'))
        self.assertEqual(3, self.local()[0])
        log.with_name('keystone.log').rename(log)
        self.assertEqual(0, self.local()[0])
        self.assertEqual('a line', log.read_text())

    def test_logs_that_cannot_be_cleaned(self):
        """It is said that they may have secrets."""
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with (fixtures.EnvironmentVariable('CLOUD_FAILS', 'up late'),
              mock.patch.object(pathlib.Path, 'replace', side_effect=full)):
            code, _, err = self.local()
        self.assertEqual(3, code)
        self.assertIn(f'{self.report / "logs"}: {full.strerror}; logs '
                      'there have not been redacted and may contain '
                      'secrets', err)
        self.assertIn('the local cloud did not start (exit status 3)', err)

    def test_logs_of_another_program(self):
        """Neither overwritten nor taken for those of the run."""
        logs = self.report / 'logs'
        logs.mkdir(parents=True)
        (logs / 'own').mkdir()
        own = logs / 'own' / 'cinder.log'
        own.write_text('mine')
        for name, step in (
                ('logs/own/cinder.log', lambda: None),
                ('logs', lambda: (logs.rename(self.report / 'elsewhere'),
                                  logs.symlink_to('elsewhere')))):
            step()
            for listed in (False, True):
                if listed:
                    (self.report / 'SHA256SUMS').write_text('')
                code, _, err = self.local()
                self.assertEqual(3, code)
                self.assertIn(f'error: {self.report / name} was not '
                              'written by this program; refusing', err)
            (self.report / 'SHA256SUMS').unlink()
        self.assertEqual('', self.calls.read_text())
        self.assertEqual('mine', (
            self.report / 'elsewhere' / 'own' / 'cinder.log').read_text())

    def test_logs_that_cannot_be_copied(self):
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with mock.patch('shutil.copytree', side_effect=full):
            code, _, err = self.local()
        self.assertEqual(3, code)
        self.assertIn('error: the logs cannot be copied', err)
        self.assertEqual(2, len(self.document()['tests']))

    def test_a_wrong_configuration_is_said_once(self):
        self.write(''.join(f'''
            class {name}(testtools.TestCase):
                @classmethod
                def setUpClass(cls):
                    super().setUpClass()
                    raise exceptions.DatabaseUnreachable('it is not there')

                def test_1(self):
                    pass

                def test_2(self):
                    pass
            ''' for name in 'ABC'))
        code, out, _ = self.local()
        self.assertEqual(3, code)
        self.assertEqual(1, out.count('it is not there'), out)
        self.assertNotIn('Traceback', out)
        self.assertIn('[6/6] error', out)

    def test_interrupted(self):
        """As by SIGTERM: the same way out as a Ctrl-C's."""
        seen = self.temporary / 'seen'
        ended = progress.Progress.ended

        def tell(shown, result):
            ended(shown, result)
            seen.touch()

        self.useFixture(fixtures.MockPatchObject(progress.Progress,
                                                 'ended', tell))
        self.write(f'''
            class A(testtools.TestCase):
                def test_1(self):
                    pass

                def test_2(self):
                    while not os.path.exists('{seen}'):
                        time.sleep(0.01)
                    os.kill({os.getpid()}, signal.SIGTERM)
                    time.sleep(600)
            ''')
        code, out, _ = self.local()
        self.assertEqual(2, code)
        self.assertIn('interrupted, tidying up', out)
        document = self.document()
        self.assertIn('the run was interrupted', document['reasons'])
        self.assertEqual([('pass', [])], [
            (t['status'], t['steps']) for t in document['tests']])

    def test_interrupted_while_the_cloud_starts(self):
        with mock.patch.object(local_cloud.LocalCloud, 'up',
                               side_effect=KeyboardInterrupt):
            code, _, err = self.local()
        self.assertEqual((2, 'interrupted\n'), (code, err))
