# SPDX-License-Identifier: Apache-2.0

"""Programs that are killed or interrupted while they have a cloud."""

import os
import pathlib
import signal
import sys

import psutil

from local_cloud.machine import cloud_state
from tests import cloud_cases


class KilledTest(cloud_cases.CloudCase):
    """SIGKILL, and what "down" makes of it."""

    def _kill_up_when(self, condition, what,
                      program=cloud_cases.PROGRAM):
        process = self.start('--state-dir', self.directory, 'up',
                             program=program)
        cloud_cases.until(lambda: condition() or process.poll() is not None,
                          what)
        process.kill()
        self.assertEqual(-signal.SIGKILL, process.wait(), self.output)

    def _down(self):
        state = cloud_state.State(self.directory)
        ports = []
        if state.exists:
            state.load()
            ports = state.record['ports'].values()
        done = self.on('down')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assert_nothing_left(ports)

    def test_up_at_many_moments(self):
        for name in ('lock', 'cloud.json', 'data/keystone.sqlite',
                     'etc/cinder/cinder.conf', 'logs/keystone.log',
                     'logs/cinder.log', 'etc/openrc'):
            path = self.directory / name
            self._kill_up_when(path.exists, name)
            self._down()

    def test_up_while_it_makes_the_template(self):
        for name in ('cloud.json', 'logs/keystone.log', 'logs/cinder.log'):
            path = self.directory / 'tmp' / 'template' / name
            self._kill_up_when(path.exists, name,
                               cloud_cases.PROGRAM_WITHOUT_TEMPLATE)
            self._down()

    def test_up_after_a_kill_starts_anew(self):
        path = self.directory / 'logs' / 'cinder.log'
        self._kill_up_when(path.exists, 'the log of cinder')
        left = self.processes()
        self.assertNotEqual([], left)
        done = self.on('up')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual([], [p for p in left if p.is_running()])
        self.assertEqual(0, self.on('status').returncode)
        self._down()

    def _temporary_cloud(self):
        for path in self.tmpdir.glob('local-cloud-*/cloud/cloud.json'):
            return cloud_state.State(path.parent)
        return None

    def _kill_owner(self, process, what):
        """Kill a program that has a temporary cloud, and clean up."""
        process.kill()
        self.assertEqual(-signal.SIGKILL, process.wait(), self.output)
        state = self._temporary_cloud()
        state.load()
        self.assertNotEqual([], self.processes())
        listed = self.call('list')
        self.assertIn(f'{state.root}  running, abandoned', listed.stdout)
        done = self.call('down', '--abandoned')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assert_nothing_left(state.record['ports'].values())
        self.assertNotIn(str(self.tmpdir), self.call('list').stdout, what)

    def test_run(self):
        script = self.temporary / 'began'
        process = self.start('run', '--', 'sh', '-c',
                             f'touch {script}; sleep 600')
        cloud_cases.until(lambda: script.exists() or
                          process.poll() is not None, 'the command')
        self._kill_owner(process, 'run')

    def test_certification(self):
        process = self.start('local', program=cloud_cases.CERTIFY)
        # Once a worker has made something in the cloud.
        cloud_cases.until(
            lambda: list(self.tmpdir.glob(
                'local-cloud-certify-*/cloud/data/volumes/*')) or
            process.poll() is not None, 'the first volume')
        self._kill_owner(process, 'certify')


class InterruptedTest(cloud_cases.CloudCase):
    """A Ctrl-C, which goes to the whole foreground group, and SIGTERM."""

    def _interrupt(self, process, number):
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        return process.wait(timeout=cloud_cases.PATIENCE)

    def test_up(self):
        for number, name in ((signal.SIGINT, 'logs/cinder.log'),
                             (signal.SIGTERM, 'logs/keystone.log')):
            process = self.start('--state-dir', self.directory, 'up')
            path = self.directory / name
            cloud_cases.until(
                lambda path=path, process=process:
                path.exists() or process.poll() is not None, name)
            code = self._interrupt(process, number)
            self.assertEqual(128 + number, code, self.output)
            self.assert_nothing_left()
            self.assertNotIn('Traceback', self.output)

    def test_up_while_it_makes_the_template(self):
        process = self.start('--state-dir', self.directory, 'up',
                             program=cloud_cases.PROGRAM_WITHOUT_TEMPLATE)
        path = self.directory / 'tmp' / 'template' / 'logs' / 'glance.log'
        cloud_cases.until(path.exists, 'the log of glance')
        self.assertEqual(130, self._interrupt(process, signal.SIGINT))
        self.assert_nothing_left()

    def test_run(self):
        """Services do not get the Ctrl-C; the command does, and ends first.

        The command requests something of the cloud after its Ctrl-C.
        """
        began, ended = self.temporary / 'began', self.temporary / 'ended'
        # A shell that is asked between two of its commands answers after the
        # second one; the openstack client may take longer to start than the
        # command has.
        script = self.temporary / 'command.py'
        script.write_text(
            'import os, pathlib, signal\n'
            'from urllib import request\n'
            'signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n'
            f'pathlib.Path({str(began)!r}).touch()\n'
            'signal.sigwait([signal.SIGINT])\n'
            'answer = request.urlopen(os.environ["OS_AUTH_URL"])\n'
            f'pathlib.Path({str(ended)!r}).write_text(f"{{answer.status}}")\n')
        process = self.start('run', '--', sys.executable, '-S', script)
        cloud_cases.until(lambda: began.exists() or
                          process.poll() is not None, 'the command')
        with_terminal = [p.pid for p in self.processes()
                         if os.getsid(p.pid) == os.getsid(0)]
        self.assertEqual(
            1, len(set(with_terminal) & {
                c.pid for c in psutil.Process(process.pid).children()}))
        self.assertEqual(130, self._interrupt(process, signal.SIGINT))
        self.assertTrue(ended.exists(), self.output)
        self.assertEqual('200', ended.read_text())
        self.assert_nothing_left()

    def test_certification(self):
        report = self.temporary / 'certify-report' / 'results.json'
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start('local', program=cloud_cases.CERTIFY)
            shown = self.output.count('] pass')
            cloud_cases.until(
                lambda process=process, shown=shown:
                self.output.count('] pass') > shown or
                process.poll() is not None, 'the first result')
            self.assertEqual(2, self._interrupt(process, number),
                             self.output)
            self.assert_nothing_left()
            self.assertNotIn('Traceback', self.output)
            text = pathlib.Path(report).read_text()
            self.assertIn('"the run was interrupted"', text)
            self.assertIn('"status": "pass"', text)
            self.assertNotIn('"status": "error"', text)
