# SPDX-License-Identifier: Apache-2.0

"""Commands on a kernel of their own."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import fixtures
import psutil
import testtools

from local_cloud import exceptions
from local_cloud.machine import uml
from tests import cloud_cases
from tests import nfs_uml

_ROOT = pathlib.Path(__file__).parents[2]


class UMLCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        nfs_uml.need(uml.missing())
        self.temporary = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MonkeyPatch('tempfile.tempdir',
                                             self.temporary))

    def left(self):
        """Processes and files that User-Mode Linux of this test has left."""
        found = os.listdir(self.temporary)
        for process in psutil.process_iter(['cmdline']):
            command = ' '.join(process.info['cmdline'] or ())
            if 'uml_dir=' in command and self.temporary in command:
                found.append(command)
        return found


class UMLTest(UMLCase):

    def setUp(self):
        super().setUp()
        self.out, self.err = [], []

    def run_in_uml(self, script, *arguments, **options):
        return uml.run(['sh', '-c', script, 'test', *arguments],
                       stdout=self.out.append, stderr=self.err.append,
                       **options)

    def test_process_of_too_many_mappings(self):
        """The machine has a limit, and the kernel only names it."""
        limit = int(pathlib.Path('/proc/sys/vm/max_map_count').read_text())
        if limit > 1 << 17:
            self.skipTest('the limit of this machine is too high to reach')
        code = self.run_in_uml(
            f'exec {sys.executable} -c "import mmap\n'
            f'memory = mmap.mmap(-1, {limit} << 13)\n'
            f'for page in range({limit}): memory[page << 13] = 1"',
            memory=768)
        self.assertNotEqual(0, code)
        self.assertIn(f'{uml.limit(768)}\n', b''.join(self.err).decode())
        self.assertIn(f'is {limit}, which', uml.limit(768))
        self.assertIn('vm.max_map_count=196608', uml.limit(768))

    def test_command_has_this_machine_but_its_kernel(self):
        """Streams, status, arguments, environment, directory and files."""
        probe = pathlib.Path(self.temporary, 'probe')
        kept = pathlib.Path(self.temporary, 'kept')
        kept.mkdir()
        argument = ' a "quoted" $word\n\'second\' line'
        code = self.run_in_uml(
            'printf %s "$1"; printf "%s\\0\\r\\n" "$MINE" >&2; pwd >&2\n'
            # A terminal there, and none here.
            'test -t 1 && echo $TERM >&2\n'
            f'echo lost > {probe}; echo kept > {kept}/file\n'
            'cat /proc/filesystems > $TMPDIR/x && seq 100000\n'
            'grep nfs4 $TMPDIR/x && id -u && exit 7', argument,
            visible=[kept], modules=['nfsv4'], cwd=_ROOT,
            environment={**os.environ, 'MINE': 'my\n value',
                         'TERM': 'xterm'})
        self.assertEqual(7, code, self.err)
        lines = ''.join(f'{number}\n' for number in range(1, 100001))
        self.assertEqual(f'{argument}{lines}nodev\tnfs4\n0\n',
                         b''.join(self.out).decode())
        self.assertEqual(f'my\n value\0\r\n{_ROOT}\ndumb\n',
                         b''.join(self.err).decode())
        self.assertFalse(probe.exists())
        self.assertEqual('kept\n', (kept / 'file').read_text())
        self.assertEqual(['kept'], os.listdir(self.temporary))

    def test_each_has_a_core(self):
        """The kernel and its processes; another kernel has another one."""
        seen = pathlib.Path(self.temporary, 'seen')
        seen.mkdir()

        others = []

        def cores():
            found = set()
            for process in psutil.process_iter(
                    ['name', 'cmdline', 'cpu_affinity']):
                # A process that is just ending has no command line any
                # more, and no cores either.
                if (process.info['name'] != 'linux.uml' or
                        not process.info['cpu_affinity']):
                    continue
                if self.temporary in ' '.join(process.info['cmdline'] or ()):
                    found.add(tuple(process.info['cpu_affinity']))
                elif process.info['cmdline']:
                    others.append(process.pid)
            return found

        def first(printed):
            try:
                alone.append(cores())
                uml.run(['echo', 'second'], stdout=second,
                        stderr=self.err.append, timeout=600)
            finally:
                # Whatever became of the second: the first need not wait.
                pathlib.Path(seen, 'both').touch()

        def second(printed):
            both.append(cores())

        alone, both = [], []
        self.assertEqual(0, uml.run(
            ['sh', '-c', f'echo first; until test -e {seen}/both; do '
             'sleep 0.1; done'], visible=[seen], stdout=first,
            stderr=self.err.append, timeout=240), self.err)
        (alone,), (both,) = alone, both
        self.assertEqual([1], [len(one) for one in alone])
        if not others:
            # Kernels of another program have taken cores, too.
            self.assertEqual(min(2, len(os.sched_getaffinity(0))), len(both))
        self.assertEqual({1}, {len(one) for one in both})

    def test_status_of_a_command_that_is_killed_or_not_there(self):
        self.assertEqual(137, self.run_in_uml('kill -9 $$'))
        self.assertEqual(127, uml.run(['no-such-command'],
                                      stderr=self.err.append))
        self.assertIn(b'no-such-command', b''.join(self.err))

    def test_process_that_found_no_memory(self):
        """It says so, while the command only knows that one was killed."""
        code = self.run_in_uml(
            f'{sys.executable} -c '
            f'"[bytes([1]) * (1 << 20) for _ in range(1024)]"; '
            f'echo status $?', memory=512)
        self.assertEqual((0, b'status 137\n'), (code, b''.join(self.out)))
        self.assertIn(b'User-Mode Linux: Out of memory: Killed process',
                      b''.join(self.err))

    def test_time_limit(self):
        start = time.monotonic()
        err = self.assertRaises(
            exceptions.ServiceFailed, self.run_in_uml,
            'sleep 600 & sleep 600', timeout=6)
        self.assertIn('did not end within 6 s', str(err))
        self.assertLess(time.monotonic() - start, 30)
        self.assertEqual([], self.left())

    def test_kernel_that_does_not_boot_reports_why(self):
        err = self.assertRaises(exceptions.ServiceFailed, self.run_in_uml,
                                'true', modules=['no-such-module'])
        self.assertIn('while it was booting', str(err))
        self.assertIn('Module no-such-module not found', str(err))
        err = self.assertRaises(exceptions.ServiceFailed, self.run_in_uml,
                                'echo c > /proc/sysrq-trigger')
        self.assertIn('before its command did', str(err))
        self.assertIn('Kernel panic', str(err))
        self.assertEqual([], self.left())


class EndedTest(UMLCase):
    """The program, ended while its command runs."""

    def start(self):
        self.output = pathlib.Path(self.useFixture(fixtures.TempDir(
            rootdir='/tmp')).path, 'output')
        with open(self.output, 'wb') as output:
            process = subprocess.Popen(
                [sys.executable, '-m', 'local_cloud.machine.uml', '--', 'bash',
                 '-c', 'trap "echo asked; exit 5" INT TERM; echo began; '
                       'sleep 600 & wait'],
                cwd=_ROOT, env={**os.environ, 'TMPDIR': self.temporary},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        cloud_cases.until(
            lambda: 'began' in self.output.read_text() or
            process.poll() is not None, 'the command')
        return process

    def test_request_to_end_reaches_the_command(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start()
            process.send_signal(number)
            self.assertEqual(5, process.wait(60))
            self.assertIn('asked', self.output.read_text())
            self.assertEqual([], self.left())

    def test_kill(self):
        process = self.start()
        process.kill()
        process.wait()
        # Its directory is known by its name, and "down --abandoned" removes
        # it; see the tests of that.
        cloud_cases.until(
            lambda: [one for one in self.left() if 'uml_dir' in one] == [],
            'the end of the kernel')
        self.assertEqual(['local-cloud-uml'], [
            name.rpartition('-')[0] for name in self.left()])
