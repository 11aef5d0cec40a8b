# SPDX-License-Identifier: Apache-2.0

"""Processes of local clouds, of which nothing may be left."""

import os
import signal
import subprocess
import sys
import threading
from unittest import mock

import fixtures
import psutil
import testtools

from local_cloud import cloud as local_cloud
from local_cloud import exceptions
from local_cloud import running_clouds
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons
from local_cloud.machine import signals
from tests.unit import local_cloud_cases


class ProcessesTest(local_cloud_cases.LocalCloudTestCase):
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
        # No person wrote these down.
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

    def test_a_pid_of_another_process(self):
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


class AbandonedTest(local_cloud_cases.LocalCloudTestCase):
    """Clouds of killed programs are found."""

    OWNER = ('import sys, time\n'
             'from local_cloud.machine import cloud_state\n'
             'temporary = cloud_state.Temporary("run")\n'
             'cloud = cloud_state.State(temporary.cloud)\n'
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


class InterruptedUpTest(local_cloud_cases.LocalCloudTestCase):
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


class RunTest(local_cloud_cases.LocalCloudTestCase):
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
            # The tests may have been started with nohup.
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
