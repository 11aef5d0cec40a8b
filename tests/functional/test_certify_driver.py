# SPDX-License-Identifier: Apache-2.0

"""A driver without a cloud, from its profile to the verdict."""

import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

import fixtures
import testtools

from cinder_backup_recovery_tests.certification import main
from cinder_backup_recovery_tests.certification.profile import profiles
from cinder_backup_recovery_tests.certification.run import ways
from cinder_backup_recovery_tests.certification.verdict import tiers
from tests import programs
from tests.functional import test_contract_program as contract

EXAMPLES = pathlib.Path(__file__).parents[2] / 'doc' / 'source' / 'examples'
SNAPSHOT = contract.SNAPSHOT


def never_away(conf):
    """A store that cannot be stopped."""
    sys.path.append(str(EXAMPLES))
    import sqlite_objects

    class NeverAway(sqlite_objects.SqliteObjects):
        path_option = ''

    return NeverAway.from_cinder(conf)


class CertifyDriverCase(testtools.TestCase):
    """The driver of the page for vendors, with its profile."""

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.temporary = self.directory / 'tmp'
        self.temporary.mkdir()
        self.storage = self.directory / 'backups.sqlite'
        self.conf = self.directory / 'cinder.conf'
        self.conf.write_text(f'[DEFAULT]\nbackup_sqlite_file = '
                             f'{self.storage}\n')
        path = os.pathsep.join([
            str(EXAMPLES), str(EXAMPLES.parents[2]),
            os.environ.get('PYTHONPATH', '')])
        for name, value in (('TMPDIR', str(self.temporary)),
                            ('PYTHONPATH', path)):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.useFixture(fixtures.MonkeyPatch('tempfile.tempdir',
                                             str(self.temporary)))
        self.keys = {
            'driver.class': 'sqlite_driver.SqliteBackupDriver',
            'driver.config_files': f'[{self.conf}]',
            'driver.store': 'sqlite_objects.SqliteObjects',
            'driver.chunk_option': 'backup_sqlite_chunk',
            'driver.block_option': 'backup_sqlite_block',
            'can.import_verify': 'true',
            'run.report_dir': str(self.directory / 'report'),
        }

    def words(self, *words, **keys):
        merged = {**self.keys, **{key.replace('__', '.'): value
                                  for key, value in keys.items()}}
        return ['driver', *words,
                *(f'--set={key}={value}' for key, value in merged.items()
                  if value is not None)]

    def certify(self, *words, **keys):
        """Exit code, stdout and stderr; nothing is left behind."""
        outcome = programs.call(main.main, *self.words(*words, **keys))
        self.assertEqual([], self.left())
        return outcome

    def left(self):
        """Files of a run on the storage and in the temporary directory."""
        names = os.listdir(self.temporary)
        if self.storage.exists():
            with contextlib.closing(sqlite3.connect(self.storage)) as rows:
                names += [name for name, in rows.execute(
                    'SELECT name FROM objects')]
        return names

    def document(self):
        return json.loads((self.directory / 'report' / 'results.json'
                           ).read_text())


class CertifyDriverTest(CertifyDriverCase):
    def test_manifest(self):
        """Each test of both programs is in one tier, and no other is."""
        way = ways.Driver(profiles.load(None, [
            f'driver.class={contract.DEFAULT}']))
        self.addCleanup(way.discard)
        manifest = tiers.of_way(way.name)
        tests = way.required()
        self.assertEqual(([], []), (manifest.gone(tests),
                                    manifest.unknown(tests)))

    def test_quick(self):
        """It shows that all fits together, and certifies nothing."""
        code, out, err = self.certify('--mode', 'quick')
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn('[1/1] pass  RecoveryContract.test_backup_of_', out)
        document = self.document()
        self.assertEqual(
            ('not certifiable', 'driver', [SNAPSHOT], ['pass']),
            (*(document[name] for name in ('verdict', 'way', 'quick')),
             [one['status'] for one in document['tests']]))
        self.assertIn('cinder', document['versions'])

    def test_quick_on_eventlet(self):
        """Which cinder-backup runs on, unless it is told otherwise."""
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', main.__name__,
             *self.words('--mode', 'quick')], env={
                 **os.environ, 'OS_CINDER_DISABLE_EVENTLET_PATCHING': '0'},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            # As by Ctrl-C: with the program that it has started.
            process.terminate()
            process.communicate()
            raise
        self.assertEqual((2, ''), (process.returncode, err), out)
        self.assertIn('[1/1] pass', out)

    def test_check(self):
        code, out, err = self.certify('--check')
        self.assertEqual((0, ''), (code, err))
        self.assertIn('ready to run', out)
        self.assertFalse((self.directory / 'report').exists())

    def test_a_capability_that_is_denied_and_there(self):
        code, out, err = self.certify(
            '--regex', 'parents_that_lead|of_a_snapshot',
            can__import_verify='false')
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn('the profile denies import_verify, which the driver '
                      'plainly has', self.document()['reasons'])

    def test_a_capability_that_is_not_there(self):
        """A claimed capability that does not exist is no skip that counts."""
        plain = {'driver__class': contract.POSIX, 'driver__store': None,
                 'driver__chunk_option': None, 'driver__block_option': None,
                 'driver__config_files': None}
        pattern = 'parents_that_lead|of_a_snapshot'
        for claimed, said in (('true', True), ('false', False)):
            code, out, err = self.certify(
                '--regex', pattern, can__import_verify=claimed, **plain)
            self.assertEqual((2, ''), (code, err), out)
            reasons = '\n'.join(self.document()['reasons'])
            self.assertEqual(said, 'was skipped' in reasons, reasons)

    def test_a_store_that_never_was_away(self):
        """Such a driver does not earn "verified", and the report says why."""
        pattern = 'a_store_that_is_stopped|of_a_snapshot'
        for claimed, state, without in (
                (None, 'not shown', {}),
                ('false', 'not claimed', {'store_stop': 1})):
            code, out, err = self.certify(
                '--regex', pattern, can__store_stop=claimed,
                driver__store=f'{__name__}.never_away')
            self.assertEqual((2, ''), (code, err), out)
            document = self.document()
            verified, = (one for one in document['tiers']
                         if one['name'] == 'verified')
            self.assertEqual((state, without),
                             (verified['state'], verified['without']))
            reasons = '\n'.join(document['reasons'])
            self.assertEqual(claimed is None,
                             'the driver lacks store_stop' in reasons, reasons)

    def test_mistakes(self):
        """One line that says what to do, exit code 3, nothing left."""
        for words, keys, said in (
                ((), {'driver__class': None}, 'driver.class is not set'),
                ((), {'driver__class': 'no_such.Driver'},
                 "the driver no_such.Driver cannot be imported: No module "
                 "named 'no_such'"),
                ((), {'driver__clas': 'x'}, 'do you mean driver.class?'),
                ((), {'driver__chunk_option': 'backup_sqlite_chunks'},
                 'backup_sqlite_chunks'),
                ((), {'driver__config_files': '[/nonexistent]'},
                 'the configuration /nonexistent cannot be read'),
                ((), {'driver__python': '/no/such/python'},
                 '/no/such/python: No such file or directory'),
                ((), {'driver__store': 'sqlite_objects.Nothing'},
                 'the store adapter sqlite_objects.Nothing'),
                (('--mode', 'quick', '--regex', 'x'), {},
                 '--regex cannot be combined with quick'),
                (('--profile', 'swfit'), {}, 'unknown profile swfit')):
            for more in ((), ('--check',)):
                code, _, err = self.certify(*words, *more, **keys)
                self.assertEqual((3, 1), (code, err.count('\n')), err)
                self.assertTrue(err.startswith('error: '), err)
                self.assertIn(said, err)

    def test_a_virtualenv_without_cinder(self):
        python = self.directory / 'python'
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
        python.chmod(0o755)
        code, _, err = self.certify(driver__python=str(python))
        self.assertEqual((3, 1), (code, err.count('\n')), err)
        self.assertIn("driver.python must name the Python of Cinder's", err)

    def test_paths_of_this_machine(self):
        """None is in the report, which is published, and it is verified."""
        (self.directory / 'broken_driver.py').write_text("""
import os, pathlib, sys
import sqlite_driver

class Broken(sqlite_driver.SqliteBackupDriver):
    def restore(self, *args, **kwargs):
        raise ValueError(f'{pathlib.Path.home()}/x {sys.prefix} {os.getcwd()}')
""")
        self.useFixture(fixtures.EnvironmentVariable(
            'PYTHONPATH', os.pathsep.join([str(self.directory),
                                           os.environ['PYTHONPATH']])))
        code, out, err = self.certify(
            '--regex', 'test_backup_of_a_snapshot',
            driver__class='broken_driver.Broken')
        self.assertEqual((1, ''), (code, err), out)
        reason = self.document()['tests'][0]['reason']
        self.assertIn('ValueError: <home>/x ', reason)
        self.assertIn('"<checkout>/reference_drivers/contract/', reason)
        report = self.directory / 'report'
        paths = {str(pathlib.Path.home()), sys.prefix, os.getcwd(),
                 str(EXAMPLES.parents[2]), str(report),
                 str(self.temporary / 'certify-')}
        site = self.directory / 'site'
        for words in (('verify-report', report),
                      ('registry', report, '--output', site)):
            code, said, _ = programs.call(main.main, *words)
            self.assertEqual(0, code, said)
        self.assertIn('>failed</a>', (site / 'index.html').read_text())
        for path in (*report.rglob('*'), *site.rglob('*')):
            if path.is_file():
                text = path.read_text(errors='replace')
                self.assertEqual([], [one for one in paths if one in text],
                                 path)

    def test_a_full_disk(self):
        """That of the report, and that of temporary files."""
        for place, size, said in (
                (self.directory / 'report', '1m',
                 'error: the report cannot be written to {place}: No space '
                 'left on device'),
                (self.temporary, '4m', 'error: {place}/certify-')):
            place.mkdir(exist_ok=True)
            # A mount that goes with the process that sees it.
            done = subprocess.run(
                ['unshare', '--mount', '--map-root-user', 'sh', '-c',
                 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && '
                 '"$@"; code=$?; ls "$0" >&2; exit $code',
                 str(place), size, str(place), sys.executable, '-W',
                 'ignore', '-m', main.__name__, *self.words()],
                capture_output=True, text=True, timeout=600)
            self.assertEqual((3, 1), (done.returncode,
                                      done.stderr.count('\n')), done)
            self.assertThat(done.stderr, testtools.matchers.StartsWith(
                said.format(place=place)))
            self.assertEqual([], self.left())

    def test_interrupted(self):
        """Results until then are kept, the storage is empty."""
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', main.__name__,
             *self.words()], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        for line in process.stdout:
            if line.startswith('['):
                break
        # In the midst of the next test, when something is stored.
        deadline = time.monotonic() + 60
        while not [one for one in self.left() if 'volume_' in one]:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
        self.assertEqual((2, ''), (process.returncode, err), out)
        self.assertIn('interrupted, tidying up', out)
        self.assertEqual([], self.left())
        document = self.document()
        self.assertIn('the run was interrupted', document['reasons'])
        self.assertEqual('pass', document['tests'][0]['status'])
