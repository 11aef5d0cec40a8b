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

"""Run test cases where a share can be mounted, on this kernel or a guest's."""

import os
import pathlib
import subprocess
import sys
import threading

import subunit
import testtools
from testtools import content

from local_cloud import exceptions
from local_cloud import guest
from local_cloud import nfs_server

_ROOT = pathlib.Path(__file__).parents[1]


def need(missing):
    """Skip where something is not installed, unless it has to be.

    :param missing: a sentence with what is missing, empty if nothing is
    """
    if missing:
        if os.environ.get('CBRT_REQUIRE_NFS') == '1':
            raise AssertionError(missing)
        raise testtools.TestCase.skipException(missing)


class _Results(testtools.StreamToDict):
    """What became of each inner test, from a stream of subunit."""

    def __init__(self):
        super().__init__(self._on_test)
        self.tests = {}

    def _on_test(self, test):
        # What is no test's is what was printed between them.
        if test['id'] is not None and test['status'] != 'exists':
            self.tests[test['id']] = test


class InnerCase(testtools.TestCase):
    """A test that runs others, and fails when one of them does."""

    def run_inner(self, *names, timeout=1500):
        """Run test cases where a share can be mounted.

        :param names: of modules, classes or tests
        :param timeout: seconds that all of them may take
        :returns: the ids of those that passed
        """
        need(nfs_server.missing())
        why = nfs_server.cannot_mount()
        if why:
            need(guest.missing())
        where = f'in User-Mode Linux, since {why}' if why else 'here'
        # A terminal and CI's log show it, whether the tests pass or not.
        print(f'{self.id()}: the share is mounted {where}', file=sys.stderr)
        command = [sys.executable, '-m', 'subunit.run', *names]
        run = self._run_in_guest if why else self._run_here
        reader, writer = os.pipe()
        results = _Results()
        thread = threading.Thread(target=self._read, args=(reader, results))
        thread.start()
        errors = []
        try:
            status = run(command, writer, errors, timeout)
        except (exceptions.ServiceFailed, subprocess.TimeoutExpired) as err:
            # What the tests said until then is wanted, too.
            status = str(err)
        finally:
            os.close(writer)
            thread.join()
        return self._judge(results.tests, status,
                           b''.join(errors).decode(errors='replace'))

    @staticmethod
    def _read(reader, results):
        with os.fdopen(reader, 'rb') as stream:
            results.startTestRun()
            subunit.ByteStreamToStreamResult(
                stream, non_subunit_name='stdout').run(results)
            results.stopTestRun()

    @staticmethod
    def _run_in_guest(command, writer, errors, timeout):
        return guest.run(
            command, modules=[nfs_server.CLIENT_MODULE], timeout=timeout,
            cwd=_ROOT, stdout=lambda data: os.write(writer, data),
            stderr=errors.append)

    @staticmethod
    def _run_here(command, writer, errors, timeout):
        done = subprocess.run(
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=writer,
            stderr=subprocess.PIPE, timeout=timeout)
        errors.append(done.stderr)
        return done.returncode

    def _judge(self, tests, status, stderr):
        bad = {name: test for name, test in tests.items()
               if test['status'] not in ('success', 'xfail')}
        for name, test in bad.items():
            text = '\n'.join(detail.as_text()
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
