# SPDX-License-Identifier: Apache-2.0

"""The contract as a program, with drivers that are named to it."""

import contextlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from unittest import mock

from cinder.backup.drivers import posix
import ddt
import fixtures
import subunit
import testtools
from testtools.testresult import doubles

from backup_stores import filesystem
from reference_drivers.contract import __main__ as program
from reference_drivers.contract import environment

RECOVERY = 'reference_drivers.contract.recovery.RecoveryContract.test_'
SNAPSHOT = RECOVERY + 'backup_of_a_snapshot'
DELETE = RECOVERY + 'delete_removes_a_backup_and_no_other'
PAGES = ('reference_drivers.contract.recovery.ChunksContract.'
         'test_more_chunks_than_a_page')
TRUST = ('reference_drivers.contract.trust.TrustContract.'
         'test_parents_that_lead_astray')
_SILENCE = 'reference_drivers.contract.silence.SilenceContract.test_'
STOPPED = _SILENCE + 'a_store_that_is_stopped'
HANGS = _SILENCE + 'a_store_that_hangs'
POSIX = 'cinder.backup.drivers.posix.PosixBackupDriver'
DEFAULT = 'reference_drivers.default.DefaultBackupDriver'
NOWHERE = 'mysql+pymysql://cinder:secret@203.0.113.1/cinder'


class StaleDriver(posix.PosixBackupDriver):
    """Restores zeros."""

    def restore(self, backup, volume_id, volume_file, volume_is_new):
        os.write(1, b'restored')


class KeepsDriver(posix.PosixBackupDriver):
    """Deletes nothing."""

    def delete_backup(self, backup):
        pass


class OnePageDriver(posix.PosixBackupDriver):
    """Reads the first page of a listing only."""

    def get_container_entries(self, container, prefix):
        return sorted(super().get_container_entries(container, prefix))[:1000]


class RefusedDriver(posix.PosixBackupDriver):
    """Cannot log in."""

    def check_for_setup_error(self):
        raise ValueError('the account\n was refused')


class ClumsyDriver(posix.PosixBackupDriver):
    """Has sizes of its own."""

    def __init__(self, context):
        super().__init__(context)
        self.chunk_size_bytes = 32768


class ToldDriver(posix.PosixBackupDriver):
    """Is told to stop, by itself, in the method and as often as it says."""

    WHEN = 'TEST_TOLD_IN'
    told = False

    def tell(self, method):
        when, _, times = os.environ[self.WHEN].partition(' ')
        if when == method:
            ToldDriver.told = True
            for _ in range(int(times)):
                os.kill(os.getpid(), signal.SIGTERM)

    def backup(self, backup, volume_file, backup_metadata=False):
        if ToldDriver.told:
            (pathlib.Path(self.backup_path) / 'went-on').touch()
        answer = super().backup(backup, volume_file, backup_metadata)
        self.tell('backup')
        if ToldDriver.told:
            time.sleep(60)
        return answer

    def delete_backup(self, backup):
        if not ToldDriver.told:
            self.tell('delete')
        super().delete_backup(backup)


def blind(conf):
    """A store that looks at another place."""
    return filesystem.FilesystemStore('/nonexistent')


def broken(conf):
    """A store adapter that cannot be made."""
    raise RuntimeError('no such host')


class ContractProgramTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.storage = self.directory / 'storage'
        self.storage.mkdir()
        self.conf = self.directory / 'cinder.conf'
        self.conf.write_text(
            f'[DEFAULT]\nbackup_posix_path = {self.storage}\n'
            f'transport_url = rabbit://cinder:secret@203.0.113.1/\n'
            f'state_path = /nonexistent\n'
            f'[database]\nconnection = {NOWHERE}\n'
            f'slave_connection = {NOWHERE}\n'
            f'[coordination]\nbackend_url = etcd3://203.0.113.1\n'
            f'[oslo_concurrency]\nlock_path = /nonexistent\n')

    def run_program(self, *arguments):
        """Exit code, bytes of stdout and text of stderr."""
        out = self.directory / 'stdout'
        stdout = os.dup(1)
        with open(out, 'wb') as stream:
            os.dup2(stream.fileno(), 1)
        err = io.StringIO()
        try:
            with contextlib.redirect_stderr(err):
                code = program.main(list(arguments))
        except SystemExit as error:
            code = error.code
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
        return code, out.read_bytes(), err.getvalue()

    def results(self, driver, *only, store=None, words=()):
        code, out, err = self.run_program(
            '--driver', driver, '--config-file', str(self.conf),
            *(['--store', store] if store else []), *words,
            *(f'--only={one}' for one in only))
        self.assertEqual((0, ''), (code, err))
        self.assertNotIn(b'restored', out)
        found = {}
        self.details = {}

        def take(case):
            found[case['id']] = case['status']
            self.details[case['id']] = case['details']

        stream = testtools.StreamToDict(take)
        stream.startTestRun()
        subunit.ByteStreamToStreamResult(
            io.BytesIO(out), non_subunit_name='noise').run(stream)
        stream.stopTestRun()
        self.left = [one for one in self.storage.rglob('*')
                     if one.is_file()]
        return found

    def refused(self, *arguments):
        """One line, and the exit code of a wrong configuration."""
        code, out, err = self.run_program(*arguments)
        stream = doubles.StreamResult()
        subunit.ByteStreamToStreamResult(io.BytesIO(out)).run(stream)
        # The same as data, for the program that reads the stream.
        self.assertEqual((3, [('error', err.removeprefix(
            'error: ').rstrip('\n').encode())]), (code, [
                (one.file_name, one.file_bytes) for one in stream._events
                if one[0] == 'status']))
        self.assertEqual(1, err.count('\n'), err)
        self.assertTrue(err.startswith('error: '), err)
        self.assertEqual([], [one for one in self.storage.rglob('*')
                              if one.is_file()])
        return err

    def test_a_good_driver(self):
        """On its own storage, and on nothing else of its cinder.conf."""
        self.assertEqual({SNAPSHOT: 'success', DELETE: 'success'},
                         self.results(DEFAULT, SNAPSHOT, DELETE))
        self.assertEqual([], self.left)
        self.assertNotEqual([], list(self.storage.iterdir()))

    def test_a_driver_that_restores_nothing(self):
        """And prints where the stream is."""
        found = self.results(f'{__name__}.StaleDriver', SNAPSHOT)
        self.assertEqual('fail', found.pop(SNAPSHOT))
        self.assertEqual({}, found)

    def test_a_driver_that_deletes_nothing(self):
        found = self.results(f'{__name__}.KeepsDriver', DELETE)
        self.assertEqual({DELETE: 'fail'}, found)

    def test_a_driver_that_reads_one_page(self):
        """The test removes what the deletion has left."""
        found = self.results(f'{__name__}.OnePageDriver', PAGES)
        self.assertEqual({PAGES: 'fail'}, found)
        said = self.details[PAGES]['traceback'].as_text()
        self.assertIn('does not match object list stored in metadata', said)
        self.assertIn('102 objects are left after the deletion', said)
        self.assertEqual([], self.left)
        self.assertEqual({PAGES: 'success'}, self.results(POSIX, PAGES))

    def test_description(self):
        """The same tests for each driver, and what it has."""
        found = {}
        for driver in (DEFAULT, POSIX):
            code, out, _ = self.run_program('--driver', driver, '--describe')
            self.assertEqual(0, code)
            found[driver] = json.loads(out)
        good, plain = found.values()
        self.assertEqual(good['tests'], plain['tests'])
        self.assertIn(DELETE, good['tests'])
        self.assertIn(TRUST, good['tests'])
        self.assertEqual(
            [True, False], [one['capabilities']['import_verify']
                            for one in (good, plain)])
        self.assertIn('cinder', good['versions'])
        # Posix is chunked as well, so that there are chunks to damage.
        self.assertEqual({}, plain['inapplicable'])
        self.assertEqual(True, plain['capabilities']['incremental'])

    def test_an_error_is_data_where_no_results_are_expected(self):
        for words, said in (
                (('--describe', '--driver', 'no.such.Driver'), "named 'no'"),
                (('--check', '--driver', 'no.such.Driver'), "named 'no'"),
                (('--check', '--driver', POSIX, '--config-fil', 'x'),
                 'unrecognized arguments'),
                (('--describe',), '--driver')):
            code, out, err = self.run_program(*words)
            error = json.loads(out)['error']
            self.assertEqual((3, f'error: {error}\n'), (code, err))
            self.assertIn(said, error)

    def test_what_a_driver_lacks_is_data(self):
        """Capabilities that a profile denies, or that no such driver has."""
        chain = RECOVERY + 'every_generation_of_a_chain'
        for driver, words, test, lacks in (
                (POSIX, ('--lacks=incremental',), chain, 'incremental'),
                (POSIX, (), TRUST, 'import_verify'),
                (DEFAULT, ('--lacks=import_verify',), TRUST,
                 'import_verify'),
                (DEFAULT, (), HANGS, 'store_pause'),
                (DEFAULT, ('--lacks=store_stop',), STOPPED, 'store_stop')):
            self.assertEqual({test: 'skip'},
                             self.results(driver, test, words=words))
            details = self.details[test]
            self.assertEqual({'lacks': lacks},
                             json.loads(b''.join(details['facts'].iter_bytes())))
            self.assertThat(
                details['reason'].as_text(),
                testtools.matchers.StartsWith(f'the driver lacks {lacks}: '))

    def test_a_driver_without_hooks(self):
        self.assertEqual({SNAPSHOT: 'success', TRUST: 'skip'},
                         self.results(POSIX, SNAPSHOT, TRUST))

    def test_without_an_adapter_what_needs_it_is_skipped(self):
        with mock.patch.dict('reference_drivers.contract.binding._STORES',
                             clear=True):
            self.assertEqual({SNAPSHOT: 'success', DELETE: 'skip'},
                             self.results(POSIX, SNAPSHOT, DELETE))

    def test_wrong_words(self):
        for words, said in (
                ((), '--driver'),
                (('--driver', 'no.such.Driver'), "No module named 'no'"),
                (('--driver', 'io.StringIO'), 'is not a backup driver'),
                (('--driver', POSIX, '--only', 'x'),
                 'unknown test x; --describe'),
                (('--driver', POSIX, '--config-file', '/nonexistent'),
                 'the configuration /nonexistent cannot be read'),
                (('--driver', POSIX, '--store', 'no.adapter'),
                 'the store adapter no.adapter cannot be imported')):
            self.assertIn(said, self.refused(*words))

    def test_wrong_drivers(self):
        """Before the first test."""
        name = 'cinder.backup.chunkeddriver.ChunkedBackupDriver'
        self.assertIn('--chunk-option', self.refused('--driver', name))
        for driver, store, said in (
                ('RefusedDriver', None,
                 'cannot be set up: the account was refused'),
                ('ClumsyDriver', None, 'uses 32768: name the right one'),
                ('KeepsDriver', 'broken', 'cannot be set up: no such host')):
            self.assertIn(said, self.refused(
                '--driver', f'{__name__}.{driver}',
                '--config-file', str(self.conf),
                *(['--store', f'{__name__}.{store}'] if store else [])))

    def test_an_adapter_that_sees_nothing(self):
        """Half of the tests would pass with it."""
        self.assertIn('sees none of the objects that ', self.refused(
            '--driver', POSIX, '--config-file', str(self.conf),
            '--store', f'{__name__}.blind'))

    def test_check_makes_nothing(self):
        with mock.patch.object(environment.Environment,
                               'create_backup') as create:
            self.assertEqual((0, b'', ''), self.run_program(
                '--driver', DEFAULT, '--config-file', str(self.conf),
                '--check'))
        create.assert_not_called()
        self.assertEqual([], list(self.storage.iterdir()))


@ddt.ddt
class StoppedTest(testtools.TestCase):

    def stop(self, when):
        """End the program; list the rest on the storage and elsewhere."""
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        storage = directory / 'storage'
        storage.mkdir()
        conf = directory / 'cinder.conf'
        conf.write_text(f'[DEFAULT]\nbackup_posix_path = {storage}\n')
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', program.__name__,
             '--driver', f'{__name__}.ToldDriver',
             '--config-file', str(conf)],
            env={**os.environ, ToldDriver.WHEN: when,
                 'TMPDIR': str(directory), 'PYTHONPATH': os.pathsep.join(
                     [str(pathlib.Path(__file__).parents[2]), *sys.path])},
            capture_output=True, timeout=600)
        self.assertEqual(2, done.returncode, done.stderr)
        return ([one.name for one in storage.rglob('*') if one.is_file()],
                set(directory.iterdir()) - {storage, conf})

    @ddt.data('backup', 'delete')
    def test_storage_is_empty(self, method):
        """Also when it is told so while it tidies up."""
        self.assertEqual(([], set()), self.stop(f'{method} 1'))

    def test_told_twice_it_does_not_wait(self):
        self.assertNotEqual([], self.stop('delete 2')[0])
