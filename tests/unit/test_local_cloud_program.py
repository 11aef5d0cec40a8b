# SPDX-License-Identifier: Apache-2.0

"""The program of the local cloud and its state, without any service."""

import contextlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from unittest import mock

import fixtures
import psutil
import testtools

from local_cloud import cloud as local_cloud
from local_cloud import console
from local_cloud import exceptions
from local_cloud import main
from local_cloud import running_clouds
from local_cloud import settings
from local_cloud import template
from local_cloud.machine import daemons
from local_cloud.machine import signals
from local_cloud.machine import state as cloud_state
from local_cloud.services import base
from tests import cloud_cases
from tests import programs

VERBS = ('up', 'down', 'status', 'logs', 'env', 'run', 'list',
         'lose-database', 'kill', 'pause', 'resume', 'hold')


class LocalCloudTestCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        # Short, because of the longest path that a cloud accepts.
        self.temporary = pathlib.Path(
            self.useFixture(fixtures.TempDir(rootdir='/tmp')).path)
        self.directory = self.temporary / 'cloud'
        self.useFixture(fixtures.EnvironmentVariable(cloud_state.ENVIRONMENT))
        self.useFixture(fixtures.EnvironmentVariable(
            'XDG_STATE_HOME', str(self.temporary / 'xdg-state')))
        self.useFixture(fixtures.MonkeyPatch('tempfile.tempdir',
                                             str(self.temporary)))

    def program(self, *arguments):
        """Call the program; its status, standard output and errors."""
        return programs.call(main.main, *arguments)

    def on(self, *arguments):
        return self.program('--state-dir', self.directory, *arguments)

    def assert_error(self, words, outcome):
        """Status 3, and one line that says why."""
        code, out, err = outcome
        self.assertEqual(3, code, err)
        self.assertEqual('', out)
        self.assertIn(words, err)
        self.assertTrue(err.startswith('error: '), err)
        self.assertEqual(1, err.count('\n'), err)

    def make(self, **record):
        """A cloud on disk that never became ready."""
        state = cloud_state.State(self.directory)
        state.create()
        state.record.update(record)
        state.save()
        return state

    def process(self, state, code='import time; time.sleep(600)', name='p'):
        """A process with the mark of a cloud."""
        child = daemons.spawn(state, name, [sys.executable, '-c', code])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child


class ArgumentsTest(LocalCloudTestCase):
    def test_help_of_everything(self):
        for arguments in ((), *((verb,) for verb in VERBS)):
            code, out, err = self.program(*arguments, '--help')
            self.assertEqual((0, ''), (code, err))
            self.assertIn('usage: cinder-backup-local-cloud', out)

    def test_help_names_every_verb_and_status(self):
        _, out, _ = self.program('--help')
        for word in (*VERBS, 'exit status', '128 + N'):
            self.assertIn(word, out)

    def test_wrong_arguments(self):
        for arguments in ((), ('sideways',), ('up', '--backup', 'tape'),
                          ('up', '--without', 'nova'), ('logs',),
                          ('up', '--timeout', 'soon'),
                          ('up', '--timeout', '0'),
                          ('up', '--timeout', 'nan'),
                          ('logs', 'cinder', '-n', 'few')):
            self.assert_error('see cinder-backup-local-cloud',
                              self.program(*arguments))

    def test_run_without_a_command(self):
        for arguments in (('run',), ('run', '--')):
            self.assert_error('run needs a command', self.on(*arguments))
        self.assertFalse(self.directory.exists())

    def test_run_of_no_such_command_starts_nothing(self):
        self.assert_error('no-such-command: not found or not executable',
                          self.on('run', '--', 'no-such-command'))
        self.assertEqual([], os.listdir(self.temporary))

    def test_state_directory_from_the_environment(self):
        self.useFixture(fixtures.EnvironmentVariable(
            cloud_state.ENVIRONMENT, str(self.directory)))
        self.assert_error(str(self.directory), self.program('status'))

    def test_default_state_directory(self):
        self.assert_error(str(self.temporary / 'xdg-state'),
                          self.program('status'))

    def test_down_of_abandoned_is_for_all(self):
        self.assert_error('--abandoned goes with',
                          self.on('down', '--abandoned'))


class DirectoryTest(LocalCloudTestCase):
    def test_no_cloud(self):
        for verb in (('down',), ('status',), ('env',), ('logs', 'cinder')):
            self.assert_error('no local cloud in', self.on(*verb))
        self.assertFalse(self.directory.exists())

    def test_an_empty_directory_is_no_cloud(self):
        self.directory.mkdir()
        self.assert_error('no local cloud in', self.on('down'))
        self.assertTrue(self.directory.exists())

    def test_a_directory_of_somebody_else(self):
        # With names that a cloud uses, too.
        for name in ('data', 'logs'):
            (self.directory / name).mkdir(parents=True)
        (self.directory / 'data' / 'thesis').write_text('years of work')
        before = sorted(self.directory.rglob('*'))
        for verb in (('up',), ('run', 'true')):
            self.assert_error('is not empty and is not a local cloud '
                              '(it has data)', self.on(*verb))
        self.assert_error('no local cloud in', self.on('down'))
        self.assertEqual(before, sorted(self.directory.rglob('*')))

    def test_a_file(self):
        self.directory.write_text('')
        for verb in (('up',), ('run', 'true')):
            self.assert_error('Not a directory', self.on(*verb))
        for verb in (('down',), ('status',)):
            self.assert_error('no local cloud in', self.on(*verb))

    def test_unwritable(self):
        # Also for root.
        self.directory = pathlib.Path('/proc/local-cloud')
        for verb in (('up',), ('run', 'true')):
            self.assert_error('cannot be used', self.on(*verb))
        self.assert_error('no local cloud in', self.on('down'))

    def test_an_unreadable_parent(self):
        error = PermissionError(13, 'Permission denied')
        with mock.patch.object(pathlib.Path, 'is_file', side_effect=error):
            for verb in ('up', 'down'):
                self.assert_error('Permission denied', self.on(verb))

    def test_a_path_too_long(self):
        self.directory = self.temporary / ('x' * 70)
        for verb in (('up',), ('run', 'true')):
            self.assert_error('choose one of at most 70', self.on(*verb))
        self.assertFalse(self.directory.exists())

    def test_run_in_a_cloud_that_is_there(self):
        self.make()
        self.assert_error('which run would take down', self.on('run', 'true'))
        self.assertTrue(cloud_state.State(self.directory).exists)

    def test_a_full_disk(self):
        error = OSError(28, 'No space left on device')
        with mock.patch.object(local_cloud.Cloud, 'start',
                               side_effect=error):
            self.assert_error('No space left on device', self.on('up'))


class RecordTest(LocalCloudTestCase):
    BROKEN = ('', '{', '[]', 'null', '{"id": "x"}', '\x00\x00',
              '{"id": 1, "ports": {}, "processes": {}}',
              '{"id": "x", "ports": {}, "processes": []}')

    def test_a_broken_record(self):
        marker = self.directory / 'cloud.json'
        for text in self.BROKEN:
            self.make()
            marker.write_text(text)
            for verb in (('up',), ('status',), ('env',), ('logs', 'cinder')):
                self.assert_error('cloud.json cannot be read',
                                  self.on(*verb))
            marker.unlink()
            (self.directory / 'lock').touch()
            for entry in self.directory.iterdir():
                (entry.rmdir if entry.is_dir() else entry.unlink)()

    def test_down_of_a_broken_record(self):
        state = self.make()
        child = self.process(state)
        (self.directory / 'cloud.json').write_text('{"id": "')
        code, _, err = self.on('down')
        self.assertEqual(0, code, err)
        self.assertIsNotNone(child.wait(60))
        self.assertFalse(self.directory.exists())

    def test_down_spares_another_programs_file_of_that_name(self):
        self.directory.mkdir()
        marker = self.directory / 'cloud.json'
        for text in ('{"region": "north"}', '{'):
            marker.write_text(text)
            (self.directory / 'thesis').touch()
            self.assert_error('nothing was removed', self.on('down'))
            self.assertEqual(text, marker.read_text())
        (self.directory / 'thesis').unlink()
        marker.write_text('{"region": "north"}')
        self.assert_error('nothing was removed', self.on('down'))
        self.assertTrue(marker.exists())

    def test_killed_before_its_first_record(self):
        self.directory.mkdir()
        (self.directory / 'lock').touch()
        (self.directory / '.cloud.json.4711').write_text('{')
        cloud_state.State(self.directory).check()
        self.assertEqual(0, self.on('down')[0])
        self.assertFalse(self.directory.exists())

    def test_killed_after_its_first_record(self):
        self.make()
        code, out, err = self.on('status')
        self.assertEqual(1, code, err)
        self.assertIn('stopped', out)
        self.assert_error('never became ready', self.on('env'))
        self.assertEqual(0, self.on('down')[0])
        self.assertFalse(self.directory.exists())

    def test_saved_as_a_whole(self):
        state = self.make(word='old')
        state.record['word'] = 'new'
        with mock.patch.object(os, 'replace', side_effect=KeyError):
            self.assertRaises(KeyError, state.save)
        again = cloud_state.State(self.directory)
        again.load()
        self.assertEqual('old', again.record['word'])

    def test_modes(self):
        self.directory.mkdir(mode=0o755)
        state = self.make()
        settings.write(state.config('glance'), {'a': {'b': 'secret'}})
        for path in (state.root, *state.root.rglob('*')):
            self.assertEqual(0, path.stat().st_mode & 0o077, path)

    def test_one_at_a_time(self):
        state = self.make()
        with state.locked():
            self.assert_error('another program is starting or stopping',
                              self.on('down'))
            self.assert_error('another program is starting or stopping',
                              self.on('up'))
        self.assertEqual(0, self.on('down')[0])

    def test_started_by_a_test_that_was_killed(self):
        """It is the cloud's own, and ends before it."""
        state = self.make()
        child = self.process(
            state, 'import fcntl, sys, time\n'
            f'lock = open({str(state.root / "lock")!r}, "w")\n'
            'fcntl.flock(lock, fcntl.LOCK_EX)\n'
            'print("locked", flush=True)\n'
            'time.sleep(600)')
        cloud_cases.until(lambda: 'locked' in state.log('p').read_text(),
                          'the lock')
        self.assertEqual(0, self.on('down')[0])
        self.assertFalse(psutil.pid_exists(child.pid))
        self.assertFalse(self.directory.exists())

    def test_locked_after_a_down(self):
        state = self.make()

        def down(*args):
            (state.root / 'lock').unlink()

        with mock.patch('fcntl.flock', side_effect=down):
            self.assertRaises(exceptions.InvalidState,
                              state.locked().__enter__)

    def test_other_options_on_an_old_cloud(self):
        self.make(made=True, backup='default', debug=False,
                  cinder_services=['cinder-volume'])
        for options in (('--debug',), ('--without', 'cinder-volume'),
                        ('--volumes', 'rbd'), ('--second-region',),
                        ('--second-backup',),
                        ('--database', 'postgresql')):
            self.assert_error(f'made with another {options[0]}',
                              self.on('up', *options))

    def test_another_store_on_an_old_cloud(self):
        self.make(made=True, backup='default', debug=False,
                  second_region=True, second_store='own',
                  cinder_services=['cinder-volume'])
        self.assert_error(
            'made with another --second-store',
            self.on('up', '--second-region', '--second-store', 'shared'))

    def test_store_of_no_second_region(self):
        self.assert_error('needs --second-region',
                          self.on('up', '--second-store', 'own'))

    def test_store_that_cannot_be(self):
        self.assert_error(
            '--second-store own cannot be combined with --backup ceph',
            self.on('up', '--backup', 'ceph', '--second-region',
                    '--second-store', 'own'))


class LogsTest(LocalCloudTestCase):
    def setUp(self):
        super().setUp()
        self.state = self.make()
        self.state.log('cinder').write_text('one\ntwo\nthree\n')

    def test_all_and_last(self):
        self.assertEqual((0, 'one\ntwo\nthree\n', ''),
                         self.on('logs', 'cinder'))
        self.assertEqual((0, 'two\nthree\n', ''),
                         self.on('logs', 'cinder', '-n', '2'))

    def test_unknown(self):
        for name in ('nova', '../cloud', '', '/etc/passwd'):
            self.assert_error('known: cinder', self.on('logs', name))


class ProcessesTest(LocalCloudTestCase):
    def test_down_stops_what_has_the_mark(self):
        state = self.make()
        child = self.process(state)
        stubborn = self.process(
            state, 'import signal, time, os, sys\n'
            'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
            'open(sys.argv[0] and "ready", "w").close()\n'
            'time.sleep(600)', 'stubborn')
        with fixtures.Timeout(600, gentle=True):
            while not (self.directory / 'ready').exists():
                pass
        # Nobody wrote these down.
        state.record['processes'].clear()
        state.save()
        code, _, err = self.on('down')
        self.assertEqual(0, code, err)
        self.assertIn('2 processes stopped', err)
        for process in (child, stubborn):
            self.assertIsNotNone(process.wait(60))

    def test_down_stops_a_suspended_process(self):
        child = self.process(self.make())
        child.send_signal(signal.SIGSTOP)
        self.assertEqual(0, self.on('down')[0])
        self.assertIsNotNone(child.wait(60))

    def test_down_spares_other_clouds(self):
        other = cloud_state.State(self.temporary / 'other')
        other.create()
        child = self.process(other)
        self.make()
        self.assertEqual(0, self.on('down')[0])
        self.assertIsNone(child.poll())

    def test_down_after_the_directory_was_removed(self):
        state = self.make()
        child = self.process(state)
        state.clear()
        (self.directory / 'lock').unlink(missing_ok=True)
        self.directory.rmdir()
        code, _, err = self.on('down')
        self.assertEqual(0, code, err)
        self.assertIsNotNone(child.wait(60))

    def test_down_keep(self):
        state = self.make()
        child = self.process(state)
        self.assertEqual(0, self.on('down', '--keep')[0])
        self.assertIsNotNone(child.wait(60))
        self.assertTrue(state.log('p').exists())

    def test_a_pid_of_somebody_else(self):
        state = self.make()
        child = self.process(state)
        self.assertEqual(child.pid, daemons.alive(state, 'p').pid)
        state.record['processes']['p']['started'] -= 100
        self.assertIsNone(daemons.alive(state, 'p'))

    def test_sessions_and_environment(self):
        self.useFixture(fixtures.EnvironmentVariable('OS_CLOUD', 'theirs'))
        state = self.make()
        child = self.process(state)
        self.assertNotEqual(os.getsid(0), os.getsid(child.pid))
        variables = psutil.Process(child.pid).environ()
        self.assertNotIn('OS_CLOUD', variables)
        self.assertEqual(str(state.tmp), variables['TMPDIR'])

    def test_stop_is_a_crash(self):
        state = self.make()
        child = self.process(state, name='cinder')
        cloud = local_cloud.Cloud(state)
        cloud.stop('cinder')
        self.assertIsNotNone(child.wait(60))
        cloud.stop('cinder')

    def test_wait_for_one_that_dies(self):
        state = self.make()
        child = self.process(state, 'print("because of this"); exit(1)')
        child.wait()
        error = self.assertRaises(
            exceptions.ServiceFailed, daemons.wait_until, state, 'p',
            lambda: 'refused', 30)
        self.assertIn('p ended while it was starting', str(error))
        self.assertIn('because of this', str(error))

    def test_wait_for_one_that_never_answers(self):
        state = self.make()
        self.process(state, 'import time; print("still here", flush=True);'
                            'time.sleep(600)')
        with fixtures.Timeout(600, gentle=True):
            while 'here' not in daemons.tail(state, 'p'):
                pass
        error = self.assertRaises(
            exceptions.ServiceFailed, daemons.wait_until, state, 'p',
            lambda: 'it said 503', 0.1)
        self.assertIn('did not become ready within 0 s (it said 503)',
                      str(error))
        self.assertIn('still here', str(error))

    def test_tail(self):
        state = self.make()
        self.assertEqual('(no log was written)', daemons.tail(state, 'x'))
        state.log('x').write_bytes(b'')
        self.assertEqual('(the log is empty)', daemons.tail(state, 'x'))
        state.log('x').write_bytes(b''.join(
            b'%d\xff\n' % n for n in range(100000)))
        lines = daemons.tail_of(state.log('x'), 3).splitlines()
        self.assertEqual(['99997\ufffd', '99998\ufffd', '99999\ufffd'], lines)


class AbandonedTest(LocalCloudTestCase):
    """Clouds of killed programs are found."""

    OWNER = ('import sys, time\n'
             'from local_cloud.machine import state\n'
             'temporary = state.Temporary("run")\n'
             'cloud = state.State(temporary.cloud)\n'
             'cloud.create()\n'
             'print(cloud.root, flush=True)\n'
             'time.sleep(600)\n')

    def _owner(self):
        """A program with a temporary cloud, which has one process."""
        program = subprocess.Popen(
            [sys.executable, '-c', self.OWNER], stdout=subprocess.PIPE,
            text=True, env={**os.environ, 'TMPDIR': str(self.temporary)})
        self.addCleanup(program.wait)
        self.addCleanup(program.stdout.close)
        self.addCleanup(program.kill)
        self.state = cloud_state.State(program.stdout.readline().strip())
        self.state.load()
        self.child = self.process(self.state)
        return program

    def _listed(self):
        _, out, _ = self.program('list')
        return [line for line in out.splitlines()
                if str(self.temporary) in line]

    def test_alive_and_killed(self):
        program = self._owner()
        self.assertEqual([f'{self.state.root}  running, in use by the '
                          f'program that made it'], self._listed())
        self.program('down', '--abandoned')
        self.assertIsNone(self.child.poll())
        program.kill()
        program.wait()
        self.assertEqual([f'{self.state.root}  running, abandoned'],
                         self._listed())
        code, _, err = self.program('down', '--abandoned')
        self.assertEqual(0, code, err)
        self.assertIsNotNone(self.child.wait(60))
        self.assertEqual([], os.listdir(self.temporary))
        self.assertEqual([], self._listed())

    def test_its_directory_is_gone(self):
        program = self._owner()
        program.kill()
        program.wait()
        cloud_state.remove_temporary(self.state.root.parent)
        self.assertEqual([f'{self.state.root}  running, abandoned'],
                         self._listed())
        self.assertEqual(0, self.program('down', '--abandoned')[0])
        self.assertIsNotNone(self.child.wait(60))

    def test_spares_what_is_below_another_tmpdir(self):
        program = self._owner()
        program.kill()
        program.wait()
        elsewhere = self.temporary / 'elsewhere'
        elsewhere.mkdir()
        with fixtures.MonkeyPatch('tempfile.tempdir', str(elsewhere)):
            self.assertEqual([f'{self.state.root}  running'],
                             self._listed())
            self.assertEqual(0, self.program('down', '--abandoned')[0])
        self.assertIsNone(self.child.poll())
        self.assertTrue(self.state.exists)

    def test_spares_other_users(self):
        program = self._owner()
        program.kill()
        program.wait()
        with mock.patch.object(psutil.Process, 'uids',
                               return_value=mock.Mock(real=-1)), \
                mock.patch.object(cloud_state, 'temporary_directories',
                                  return_value=[]):
            self.assertEqual([], self._listed())
            self.program('down', '--abandoned')
        self.assertIsNone(self.child.poll())

    def test_killed_before_it_had_a_lock(self):
        empty = self.temporary / f'{cloud_state.TEMPORARY_PREFIX}run-x'
        empty.mkdir()
        os.utime(empty, (0, 0))
        self.program('down', '--abandoned')
        self.assertFalse(empty.exists())

    def test_spares_what_is_about_to_be_locked(self):
        """A program may be between the directory, its file and the lock."""
        young = self.temporary / f'{cloud_state.TEMPORARY_PREFIX}run-x'
        young.mkdir()
        self.program('down', '--abandoned')
        self.assertTrue(young.exists())
        (young / 'owner').touch()
        self.program('down', '--abandoned')
        self.assertTrue(young.exists())
        os.utime(young, (0, 0))
        self.program('down', '--abandoned')
        self.assertFalse(young.exists())

    def test_spares_what_only_has_such_a_name(self):
        other = self.temporary / f'{cloud_state.TEMPORARY_PREFIX}of-mine'
        other.mkdir()
        (other / 'notes').touch()
        self.program('down', '--abandoned')
        self.assertTrue((other / 'notes').exists())

    def test_a_process_of_the_template_belongs_to_its_cloud(self):
        state = self.make()
        inner = cloud_state.State(state.tmp / 'template')
        inner.create(state.cloud_id)
        child = self.process(inner)
        found = [k.directory for k in running_clouds.clouds()]
        self.assertIn(state.root, found)
        self.assertNotIn(inner.root, found)
        self.assertEqual(0, self.on('down')[0])
        self.assertIsNotNone(child.wait(60))

    def test_the_default_directory_is_listed(self):
        state = cloud_state.State(cloud_state.default_directory())
        state.create()
        self.assertEqual([f'{state.root}  stopped'], self._listed())


class SignalsTest(testtools.TestCase):
    def test_only_the_first_is_heard(self):
        heard = []
        before = signal.getsignal(signal.SIGTERM)
        try:
            with signals.heard():
                try:
                    signal.raise_signal(signal.SIGTERM)
                finally:
                    for number in (signal.SIGINT, signal.SIGTERM):
                        signal.raise_signal(number)
                    heard.append('all of the clean-up')
        except signals.Ended as ended:
            heard.append(ended.status)
        self.assertEqual(['all of the clean-up', 143], heard)
        self.assertEqual(before, signal.getsignal(signal.SIGTERM))

    def test_what_was_ignored_stays_ignored(self):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        with signals.heard():
            signal.raise_signal(signal.SIGHUP)

    def test_ignored_in_a_thread_does_not_fail(self):
        done = []

        def work():
            with signals.ignored():
                done.append(True)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual([True], done)


class InterruptedUpTest(LocalCloudTestCase):
    """A cloud that is being started, without the services themselves."""

    def _up(self, error, new=True):
        def bring_up(cloud, is_new, started):
            self.child = self.process(cloud.state, name='cinder')
            started['cinder'] = 0.0
            raise error

        self.useFixture(fixtures.MockPatchObject(
            local_cloud.Cloud, '_bring_up', bring_up))
        return self.on('up')

    def test_a_failure_keeps_the_logs(self):
        code, _, err = self._up(exceptions.ServiceFailed('cinder is broken'))
        self.assertEqual((3, 'error: cinder is broken\n'), (code, err))
        self.assertIsNotNone(self.child.wait(60))
        self.assertTrue((self.directory / 'logs' / 'cinder.log').exists())

    def test_an_interrupt_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            code, _, _ = self._up(signals.Ended(number))
            self.assertEqual(128 + number, code)
            self.assertIsNotNone(self.child.wait(60))
            self.assertFalse(self.directory.exists())

    def test_what_ran_before_goes_on(self):
        state = self.make(made=True, backup='default', debug=False,
                          cinder_services=[])
        other = self.process(state, name='keystone')
        code, _, _ = self._up(signals.Ended(signal.SIGINT))
        self.assertEqual(130, code)
        self.assertIsNotNone(self.child.wait(60))
        self.assertIsNone(other.poll())
        self.assertTrue(state.exists)


class RunTest(LocalCloudTestCase):
    """The command, with a cloud that costs nothing."""

    def setUp(self):
        super().setUp()

        def start(cloud, asked):
            cloud.state.create()
            cloud.state.record.update(
                passwords={'admin': 'x'},
                ports={'keystone': 1, 'glance': 1, 'cinder': 1})
            cloud.state.save()
            cloud.state.log('cinder').write_text('a line\n')

        self.useFixture(fixtures.MockPatchObject(
            local_cloud.Cloud, 'start', start))

    def _run(self, script, *options):
        outcome = self.program('run', *options, '--', 'sh', '-c', script)
        self.assertEqual([], [name for name in os.listdir(self.temporary)
                              if name.startswith('local-cloud')])
        return outcome

    def test_status_is_the_commands(self):
        for script, code in (('exit 0', 0), ('exit 7', 7), ('exit 3', 3),
                             ('kill -9 $$', 137), ('kill -15 $$', 143)):
            self.assertEqual(code, self._run(script)[0])

    def test_environment(self):
        target = self.temporary / 'environment'
        self._run(f'env > {target}')
        for name in ('OS_AUTH_URL', 'OS_PASSWORD', 'TEMPEST_CONFIG',
                     'LOCAL_CLOUD_ID', 'LOCAL_CLOUD_STATE_DIR'):
            self.assertIn(f'{name}=', target.read_text())

    def test_not_executable(self):
        target = self.temporary / 'script'
        target.write_text('not a program\n')
        target.chmod(0o755)
        self.assert_error('Exec format error', (
            *self.program('--quiet', 'run', '--', target),))

    def test_what_the_command_leaves_is_stopped(self):
        target = self.temporary / 'pid'
        self._run(f'sleep 600 >/dev/null 2>&1 & echo $! > {target}')
        pid = int(target.read_text())
        self.assertFalse(psutil.pid_exists(pid) and psutil.Process(
            pid).status() != psutil.STATUS_ZOMBIE)

    def test_keeps_logs(self):
        target = self.temporary / 'kept'
        self._run('true', '--keep-logs', target)
        self.assertEqual('a line\n', (target / 'cinder.log').read_text())

    def test_logs_that_cannot_be_kept(self):
        code, _, err = self._run('exit 7', '--keep-logs', '/dev/null/x')
        self.assertEqual(3, code)
        self.assertIn('the logs cannot be kept', err)

    def test_chosen_directory(self):
        self.assertEqual(5, self.on('run', '--', 'sh', '-c', 'exit 5')[0])
        self.assertFalse(self.directory.exists())

    def test_interrupted(self):
        # The signal to this program alone: the command gets its own.
        for number, own in ((signal.SIGTERM, signal.SIGTERM),
                            (signal.SIGHUP, signal.SIGTERM)):
            # Whoever runs the tests may have used nohup.
            self.addCleanup(signal.signal, number,
                            signal.signal(number, signal.SIG_DFL))
            target = self.temporary / 'ended'
            code, _, _ = self._run(
                f'trap "echo {own} > {target}; exit 1" TERM; '
                f'kill -{int(number)} {os.getpid()}; '
                f'for _ in $(seq 600); do sleep 0.05; done')
            self.assertEqual(128 + number, code)
            self.assertTrue(target.exists())
            target.unlink()


class TemplateTest(LocalCloudTestCase):
    def test_place(self):
        prefix = self.temporary / 'venv'
        cache = self.temporary / 'cache'
        self.useFixture(fixtures.EnvironmentVariable('XDG_CACHE_HOME',
                                                     str(cache)))
        self.useFixture(fixtures.MonkeyPatch('sys.prefix', str(prefix)))
        self.assertEqual(prefix / 'var' / 'local-cloud', template.home())
        self.useFixture(fixtures.MonkeyPatch('sys.prefix', sys.base_prefix))
        self.assertEqual(cache / 'cinder-backup-local-cloud',
                         template.home())
        self.useFixture(fixtures.MonkeyPatch('sys.prefix', '/proc/venv'))
        self.assertEqual(cache / 'cinder-backup-local-cloud',
                         template.home())
        self.useFixture(fixtures.EnvironmentVariable('XDG_CACHE_HOME',
                                                     '/proc/cache'))
        self.assertIsNone(template.home())

    def test_key_depends_on_versions(self):
        state = cloud_state.State(self.directory)
        key = template.key(state)
        self.assertEqual(key, template.key(state))
        with mock.patch('importlib.metadata.version', return_value='0'):
            self.assertNotEqual(key, template.key(state))

    def test_key_depends_on_the_release_of_cinder(self):
        state = cloud_state.State(self.directory)
        keys = {template.key(state)}
        for version in '26.3.0', '28.0.0':
            state.record['cinder'] = {
                'version': sys.version, 'packages': {'cinder': version}}
            keys.add(template.key(state))
        self.assertEqual(3, len(keys))

    def test_old_ones_go(self):
        for number in range(8):
            place = self.temporary / str(number)
            place.mkdir()
            (place / 'record.json').touch()
            os.utime(place, (number, number))
        template._prune(self.temporary)
        self.assertEqual(['2', '3', '4', '5', '6', '7'],
                         sorted(os.listdir(self.temporary)))

    def test_killed_while_it_was_made(self):
        """The leftover of another build does no harm."""
        state = self.make()
        target = self.temporary / 'key'
        pathlib.Path(f'{target}.new').mkdir()
        (pathlib.Path(f'{target}.new') / 'half').touch()
        target.mkdir()
        (target / 'half').touch()

        def bootstrap(services):
            inner = services[0].state
            for service in services:
                inner.database(service.name).touch()
            (inner.data / 'keystone-keys').mkdir(exist_ok=True)

        with mock.patch.object(template, 'bootstrap', bootstrap):
            template._make(target, state)
        self.assertFalse(pathlib.Path(f'{target}.new').exists())
        self.assertEqual(['cinder.sqlite', 'glance.sqlite', 'keystone-keys',
                          'keystone.sqlite', 'record.json'],
                         sorted(os.listdir(target)))
        self.assertEqual([], os.listdir(state.tmp))
        self.assertEqual(
            {'admin', 'cinder', 'glance'},
            set(json.loads((target / 'record.json').read_text())[
                'passwords']))

    def test_a_service_that_cannot_make_its_schema(self):
        state = self.make(debug=False, backup='default')

        class Broken(base.Bootstrapped):
            name = 'glance'

            def bootstrap_command(self):
                return [sys.executable, '-c',
                        'print("no such table"); exit(1)']

        with mock.patch.object(template, '_SERVICES', (Broken,)):
            error = self.assertRaises(
                exceptions.ServiceFailed, template._make,
                self.temporary / 'key', state)
        self.assertIn('glance could not make its database (it exited with 1)',
                      str(error))
        self.assertIn('no such table', str(error))
        self.assertFalse((self.temporary / 'key').exists())


class PackagesTest(LocalCloudTestCase):
    def test_missing(self):
        with mock.patch('importlib.util.find_spec', return_value=None):
            self.assert_error('not installed here: keystone, glance',
                              self.on('up'))
        self.assertFalse(self.directory.exists())


class ConsoleTest(testtools.TestCase):
    def test_steps(self):
        stream = io.StringIO()
        say = console.Console(stream)
        with say.step('this'):
            pass
        with contextlib.suppress(KeyError), say.step('that'):
            raise KeyError
        first, second = stream.getvalue().splitlines()
        self.assertRegex(first, r'^this \.\.\. \d+\.\d s$')
        self.assertRegex(second, r'^that \.\.\. failed after \d+\.\d s$')

    def test_quiet(self):
        stream = io.StringIO()
        console.Console(stream, quiet=True).say('nothing')
        self.assertEqual('', stream.getvalue())
