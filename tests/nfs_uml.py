# SPDX-License-Identifier: Apache-2.0

"""Run test cases where a share can be mounted, on this kernel or in UML."""

import json
import pathlib
import subprocess
import sys
import tempfile

import subunit
import testtools
from testtools import content

from local_cloud.machine import uml
from local_cloud.servers import nfs_server
from tests import required

_ROOT = pathlib.Path(__file__).parents[1]

# Seconds in which User-Mode Linux reports the end of its tests, and ends.
_GRACE = 120


def need(missing):
    """Skip where something is not installed, unless it has to be.

    :param missing: a sentence with what is missing, empty if nothing is
    """
    if missing:
        required.missing('CBRT_REQUIRE_NFS', missing)


def _in_uml(command, timeout):
    """The command in User-Mode Linux, which ends with this program."""
    return ['setpriv', '--pdeathsig', 'TERM',
            sys.executable, '-m', 'local_cloud.machine.uml',
            '--module', nfs_server.CLIENT_MODULE,
            '--timeout', str(timeout), '--', *command]


def _call(command, timeout=None, **files):
    """As subprocess's, but the command may remove what it has made."""
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL,
                               **files)
    try:
        return process.wait(timeout)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


# Once all tests had passed, and the program did not end: where each thread is
# is said before it is ended. No sooner: Python may crash over it.
_PROGRAM = '''
import faulthandler, runpy, sys
faulthandler.dump_traceback_later(float(sys.argv.pop(1)))
sys.argv[0] = 'subunit.run'
runpy.run_module('subunit.run', run_name='__main__', alter_sys=True)
'''


class _Results(testtools.StreamToDict):
    """Results of inner tests, from a stream of subunit."""

    def __init__(self):
        super().__init__(self._on_test)
        self.tests = {}

    def _on_test(self, test):
        # What is no test's is what was printed between them.
        if test['id'] is not None and test['status'] != 'exists':
            self.tests[test['id']] = test


class InnerCase(testtools.TestCase):
    """A test that runs others, and fails when one of them does."""

    #: Capabilities for whose lack one of them may be skipped.
    lacks = ()

    def run_inner(self, *names, timeout=1500):
        """Run test cases where a share can be mounted.

        :param timeout: seconds that all of them may take
        """
        need(nfs_server.missing())
        why = nfs_server.cannot_mount()
        if why:
            need(uml.missing())
        where = f'in User-Mode Linux, since {why}' if why else 'here'
        # A terminal and CI's log show it, whether the tests pass or not.
        print(f'{self.id()}: the share is mounted {where}', file=sys.stderr)
        command = [sys.executable, '-c', _PROGRAM, str(timeout - 30), *names]
        if why:
            command = _in_uml(command, timeout)
        with (tempfile.TemporaryFile() as stream,
              tempfile.TemporaryFile() as errors):
            try:
                status = _call(command, timeout + _GRACE,
                               stdout=stream, stderr=errors)
            except subprocess.TimeoutExpired as err:
                # What the tests said until then is wanted, too.
                status = str(err)
            stream.seek(0)
            errors.seek(0)
            return self._judge(self._read(stream), status,
                               errors.read().decode(errors='replace'))

    @staticmethod
    def _read(stream):
        results = _Results()
        results.startTestRun()
        subunit.ByteStreamToStreamResult(
            stream, non_subunit_name='stdout').run(results)
        results.stopTestRun()
        return results.tests

    def _judge(self, tests, status, stderr):
        bad = {name: test for name, test in tests.items()
               if test['status'] not in ('success', 'xfail') and
               _lacking(test) not in self.lacks}
        for name, test in bad.items():
            text = '\n'.join(
                b''.join(detail.iter_bytes()).decode(errors='replace')
                for detail in test['details'].values())
            self.addDetail(f'{name} ({test["status"]})',
                           content.text_content(text))
        if bad or status or not tests:
            self.addDetail('stderr', content.text_content(stderr[-20000:]))
        self.assertEqual({}, {name: test['status']
                              for name, test in bad.items()})
        self.assertEqual(0, status)
        self.assertNotEqual({}, tests, 'no test ran')
        return set(tests)


def _lacking(test):
    """The capability for whose lack a test was skipped, an object for none."""
    if test['status'] != 'skip' or 'facts' not in test['details']:
        return object()
    return json.loads(b''.join(
        test['details']['facts'].iter_bytes())).get('lacks')


def main(names):
    """Run test cases where a share can be mounted, and print what they do.

    For eventlet, on which neither its output can be read nor subunit runs.
    """
    command = [sys.executable, '-m', 'unittest', '-v', *names]
    if nfs_server.cannot_mount():
        command = _in_uml(command, 3600)
    return _call(command)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
