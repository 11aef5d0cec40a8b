# SPDX-License-Identifier: Apache-2.0

"""Run the suite in workers, and read what they say while they say it."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
from typing import Any

import subunit
import testtools

import cinder_backup_recovery_tests
from cinder_backup_recovery_tests import facts as facts_
from cinder_backup_recovery_tests.certification.run import stream as stream_
from cinder_backup_recovery_tests.certification.run import worker
from cinder_backup_recovery_tests.certification.run import workers
from cinder_backup_recovery_tests.certification.verdict import results

_PACKAGE = pathlib.Path(cinder_backup_recovery_tests.__file__).parent

STATUSES = {
    'success': results.Status.PASS,
    'skip': results.Status.SKIP,
    'xfail': results.Status.KNOWN,
    'uxsuccess': results.Status.FAIL,
    'fail': results.Status.FAIL,
}

# How Tempest writes an answer to its log, which a result carries along.
_REQUEST = re.compile(
    r'^\S+ (?P<time>[\d:]+)\S* .*\] Request \([^)]*\): '
    r'(?P<status>\d{3}) (?P<method>[A-Z]+) (?P<url>\S+.*)$', re.M)


#: Lines of stderr that a test is shown with whose worker has died.
_TAIL = 30


class RunError(Exception):
    """The suite could not be run at all."""


#: What marks an id whose test needs a Nova. A local cloud has none, so that
#: such a test is no part of its certification, neither run nor asked for.
NOVA = r'\[(.*,)?nova[],]'


def _stestr(repository: pathlib.Path, *arguments: str) -> list[str]:
    return [sys.executable, '-m', 'stestr',
            '--test-path', str(_PACKAGE), '--top-dir', str(_PACKAGE.parent),
            '--group-regex', r'([^\.]*\.)*', '--repo-url', str(repository),
            *arguments]


def list_tests(repository: pathlib.Path, environment: Mapping[str, str]
               ) -> list[str]:
    """Find every test of the suite that runs without a Nova.

    :raises RunError: if a module cannot be imported, or nothing is found
    """
    repository.mkdir(exist_ok=True)
    for words in (['init'], ['list', '--exclude-regex', NOVA]):
        done = subprocess.run(
            _stestr(repository, *words), env=dict(environment),
            capture_output=True, text=True)
    tests = [line for line in done.stdout.splitlines()
             if line.startswith(f'{_PACKAGE.name}.')]
    if done.returncode != 0 or not tests:
        output = (done.stdout + done.stderr).strip().splitlines()
        raise RunError('the tests could not be listed:\n' +
                       '\n'.join(output[-15:]))
    return tests


class Streams:
    """Programs that say by subunit what came of each test, run in turn."""

    def __init__(self, commands: Sequence[list[str]],
                 environment: Mapping[str, str],
                 recorder: stream_.Recorder | None = None):
        self._commands = list(commands)
        self._environment = dict(environment)
        self._recorder = recorder
        self._process: subprocess.Popen | None = None
        self._error = ''
        self.results: list[results.Result] = []

    def __call__(self, on_start: Callable[[str], None],
                 on_result: Callable[[results.Result], None]) -> None:
        """Run to the end.

        :raises RunError: if the workers said nothing that can be read
        """
        said = ''
        for command in self._commands:
            said += self._run(command, on_start, on_result)
        if not self.results:
            raise RunError(self._error or '\n'.join(
                ['no test ran:', *said.strip().splitlines()[-15:]]))

    def _run(self, command: list[str], on_start: Callable[[str], None],
             on_result: Callable[[results.Result], None]) -> str:
        """Run one of the programs."""
        self._process = subprocess.Popen(
            command, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # A Ctrl-C is for this program, which then ends the group.
            start_new_session=True)
        process = self._process
        ended = True
        trouble: list[Exception] = []
        errors: list[bytes] = []

        def take(case: dict[str, Any]) -> None:
            result = result_of(
                case, b''.join(errors).decode(errors='replace'))
            if result is not None and self._recorder:
                result = self._recorder.result(result)
            # What an interrupt cut off has shown nothing.
            if result is not None and (ended or case['status'] in STATUSES):
                self.results.append(result)
                on_result(result)

        starts = _Starts(on_start)
        stream = testtools.CopyStreamResult([
            testtools.StreamToDict(take), starts,
            *([self._recorder] if self._recorder else [])])

        def read() -> None:
            try:
                subunit.ByteStreamToStreamResult(
                    process.stdout, non_subunit_name='stdout').run(stream)
            except Exception as error:
                trouble.append(error)

        # Read aside: an interrupt then loses nothing of what was said
        # before it, and a full pipe cannot stop the workers.
        readers = [
            threading.Thread(target=read),
            threading.Thread(
                target=lambda: errors.extend(process.stderr or ()))]
        stream.startTestRun()
        for reader in readers:
            reader.start()
        try:
            readers[0].join()
        except BaseException:
            ended = False
            raise
        finally:
            self.stop()
            for reader in readers:
                reader.join()
            if not trouble:
                stream.stopTestRun()
        if trouble:
            raise trouble[0]
        self._error = self._error or starts.error.decode(errors='replace')
        return b''.join(errors).decode(errors='replace')

    def stop(self) -> None:
        """End the workers, if they run.

        stestr leaves its workers behind when it is ended, so that the whole
        group is. What they made goes with the cloud; without one, the tests
        remove it, for which the storage may need its time.
        """
        process = self._process
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(timeout=30)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        process.wait()


class Run(Streams):
    """One run of the suite, those tests last that want the cloud alone.

    :param tests: the ids of the tests that are to run
    :param concurrency: how many workers run classes of tests side by side
    :param recorder: keeps what the workers say, and takes secrets out
    """

    def __init__(self, repository: pathlib.Path,
                 environment: Mapping[str, str], tests: Sequence[str],
                 concurrency: int = 2,
                 recorder: stream_.Recorder | None = None):
        alone = [t for t in tests if re.search(workers.ALONE, t)]
        commands = []
        # A test that waits for all others would keep its worker idle, until
        # the other one has nothing left to do.
        for name, some, count in (
                ('together', sorted(set(tests) - set(alone)), concurrency),
                ('alone', alone, 1)):
            if not some:
                continue
            files = [repository / f'{name}.{kind}' for kind in
                     ('tests', 'workers')]
            files[0].write_text('\n'.join(some) + '\n')
            workers.write(files[1], workers.share(
                some, count, workers.measured()))
            commands.append(_stestr(
                repository, 'run', '--subunit', '--load-list', str(files[0]),
                '--worker-file', str(files[1])))
        super().__init__(commands, environment, recorder)


class _Starts(testtools.StreamResult):
    """Passes the starts of tests on, and keeps the error of a program.

    :ivar error: what a program of this project attached to no test
    """

    def __init__(self, on_start: Callable[[str], None]):
        super().__init__()
        self._on_start = on_start
        self.error = b''

    def status(self, test_id=None, test_status=None, file_name=None,
               file_bytes=None, **kwargs):
        if test_status == 'inprogress' and test_id:
            self._on_start(test_id)
        elif test_id is None and file_name == 'error':
            self.error += file_bytes or b''


def result_of(case: dict[str, Any], errors: str = ''
              ) -> results.Result | None:
    """Translate one case of the stream.

    :param errors: what the workers wrote to stderr, for a test that was cut
        off
    :returns: what came of a test, None for what is no test
    """
    status = case['status']
    if status == 'exists' or case['id'] in ('stdout', 'stderr'):
        return None
    texts = {name: content.as_text() for name, content in
             case['details'].items() if content.content_type.type == 'text'}
    start, stop = case['timestamps']
    reason = texts.get('reason') or '\n'.join(
        text for name, text in texts.items() if name.startswith('traceback'))
    facts = _facts(case['details'])
    if facts is None:
        # The set-up or clean-up of a class, or a test that was cut off.
        refusal = facts_.Refusal.of_traceback(reason)
        facts = facts_.Facts(refusals=[refusal] if refusal else [])
    # What never ended was cut off with its worker: that is the kit's fault.
    judged = STATUSES.get(status, results.Status.ERROR)
    if status == 'fail' and facts.refusals:
        judged = results.Status.ERROR
    elif status == 'xfail' and not facts.defect:
        # Only the configuration excuses a cloud, never a test by itself.
        judged = results.Status.FAIL
    return results.Result(
        test_id=case['id'], status=judged,
        seconds=(stop - start).total_seconds() if start and stop else 0.0,
        reason=reason or ('' if status in STATUSES else _cut_off(errors)),
        facts=facts,
        requests=() if status in ('success', 'skip') else tuple(
            results.Request(match['time'], int(match['status']),
                            match['method'], match['url'])
            for text in texts.values() for match in _REQUEST.finditer(text)))


def _cut_off(errors: str) -> str:
    """The reason of a test whose worker ended before it did."""
    return '\n'.join([*errors.strip().splitlines()[-_TAIL:],
                      'its worker ended before the test did'])


def _facts(details: Mapping[str, Any]) -> facts_.Facts | None:
    """Read the data of a test, None if it cannot be read."""
    if facts_.DETAIL not in details:
        return None
    try:
        return facts_.Facts.of(json.loads(
            b''.join(details[facts_.DETAIL].iter_bytes())))
    except (ValueError, TypeError, KeyError, RecursionError):
        # Cut off, or of something else.
        return None


def environment(variables: Mapping[str, str],
                temporary: pathlib.Path) -> dict[str, str]:
    """The environment of a run: ours, and what points to the cloud.

    :param temporary: where the tests put temporary files, which are
        removed from there when the tests are killed
    """
    return {**os.environ, **variables, 'PYTHONWARNINGS': 'ignore',
            # stestr starts its workers by it.
            'PYTHON': f'{sys.executable} -m {worker.__name__}',
            'TMPDIR': str(temporary)}
