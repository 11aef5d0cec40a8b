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

"""The program ``cinder-backup-certify``."""

import argparse
from collections.abc import Sequence
import os
import pathlib
import re
import signal
import sys
import time
from typing import NoReturn

from cinder_backup_recovery_tests.certification import cloud as local_cloud
from cinder_backup_recovery_tests.certification import report
from cinder_backup_recovery_tests.certification import results
from cinder_backup_recovery_tests.certification import runner
from cinder_backup_recovery_tests.certification import suite

_DESCRIPTION = """\
Prove that volumes come back from exported backup records: run the whole
suite, and say what was shown.
"""

_EPILOG = """\
exit status: 0 certified; 1 a test failed; 2 not certifiable, something was
skipped, filtered or interrupted; 3 the kit, its set-up or its configuration
is wrong.
"""

# This one, also where it is called "__main__".
_MODULE = 'cinder_backup_recovery_tests.certification.main'


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are those of a bad configuration."""

    def error(self, message: str) -> NoReturn:
        self.exit(results.ExitCode.ERROR,
                  f'error: {message}; see {self.prog} --help\n')


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog='cinder-backup-certify', description=_DESCRIPTION,
        epilog=_EPILOG)
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    local = verbs.add_parser(
        'local', help='start a cloud on this machine, certify it, take it '
                      'down', epilog=_EPILOG)
    local.add_argument('--backup', default='default',
                       help='the backup driver (default: %(default)s)')
    local.add_argument('--cinder', metavar='RELEASE',
                       help="the release of Cinder, 2026.1 say, or the Python "
                            "of a virtualenv that has one (default: the one "
                            "that is installed with the local cloud)")
    local.add_argument('--report-dir', type=pathlib.Path,
                       default=pathlib.Path('certify-report'),
                       help='where the report goes (default: %(default)s)')
    local.add_argument('--concurrency', type=int, default=2, metavar='N',
                       help='workers side by side (default: %(default)s)')
    local.add_argument('--regex', metavar='PATTERN',
                       help='run only these tests; never a certification')
    local.add_argument('--local-cloud-command', metavar='COMMAND',
                       help='how to call the local cloud, where it is '
                            'installed in another virtualenv')
    return parser


class Progress:
    """Say what came of each test, as soon as that is known.

    :param selected: the ids of the tests that will run
    """

    def __init__(self, selected: Sequence[str]):
        self._total = len(selected)
        self._left = list(selected)

    def started(self, test_id: str) -> None:
        """Nothing yet: a line for each end says enough on a terminal."""

    def ended(self, result: results.Result) -> None:
        """Print one result, with its story or its reason.

        A wrong configuration is the same for every class; the summary says
        it, once.
        """
        self._left = [t for t in self._left if not result.covers(t)]
        print(f'[{self._total - len(self._left)}/{self._total}] '
              f'{result.status.value:5} {result.name} '
              f'({result.seconds:.1f} s)')
        text = result.story
        if result.status is results.Status.KNOWN:
            text = '\n'.join((result.story, result.defect))
        elif result.status is not results.Status.PASS and (
                not result.configuration):
            text = '\n'.join(filter(None, (result.story, result.reason)))
        for line in text.strip('\n').splitlines():
            print(f'    {line}')
        sys.stdout.flush()


def _select(arguments: argparse.Namespace, temporary: pathlib.Path
            ) -> tuple[list[str], list[str]]:
    """Find the tests, before a cloud is started for them.

    :returns: all that a certification requires, and those that will run
    """
    # No configuration of somebody's other cloud may have a part in this.
    nowhere = {'TEMPEST_CONFIG_DIR': str(temporary)}
    required = runner.list_tests(
        temporary / 'stestr', runner.environment(nowhere, temporary))
    selected = [t for t in required
                if not arguments.regex or re.search(arguments.regex, t)]
    if not selected:
        raise runner.RunError(
            f'--regex {arguments.regex} matches none of the '
            f'{len(required)} tests')
    print(f'{len(selected)} of {len(required)} tests, '
          f'{arguments.concurrency} workers', flush=True)
    return required, selected


def _local(arguments: argparse.Namespace) -> results.ExitCode:
    if arguments.regex:
        try:
            re.compile(arguments.regex)
        except re.error as error:
            raise runner.RunError(f'--regex {arguments.regex}: {error}') from (
                error)
    if arguments.concurrency < 1:
        raise runner.RunError('--concurrency must be at least 1')
    report.prepare(arguments.report_dir)
    start = time.monotonic()
    cloud = local_cloud.LocalCloud(arguments.local_cloud_command)
    interrupted = False
    try:
        required, selected = _select(arguments, cloud.temporary)
        variables = cloud.up(arguments.backup, arguments.cinder)
        versions = cloud.versions()
        progress = Progress(selected)
        run = runner.Run(
            cloud.temporary / 'stestr',
            runner.environment(variables, cloud.temporary),
            arguments.concurrency, arguments.regex)
        try:
            run(progress.started, progress.ended)
        except KeyboardInterrupt:
            interrupted = True
            print('interrupted, taking the cloud down', flush=True)
    finally:
        trouble = _take_down(cloud, arguments.report_dir / 'logs')
    verdict = results.judge(required, run.results, interrupted)
    if trouble:
        verdict = results.Verdict(results.ExitCode.ERROR,
                                  (*trouble, *verdict.reasons))
    report.write(arguments.report_dir, verdict, run.results, {
        'backup': arguments.backup, 'versions': versions,
        'seconds': round(time.monotonic() - start, 1),
        'suite': suite.describe(required)})
    return verdict.code


def _take_down(cloud: local_cloud.LocalCloud, logs: pathlib.Path
               ) -> list[str]:
    """Take the cloud down, whatever else does not work.

    :returns: what went wrong, which has been printed
    """
    trouble = []
    # A second Ctrl-C must not leave half of it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for step in (lambda: cloud.copy_logs(logs), cloud.down):
        try:
            step()
        except local_cloud.CloudError as error:
            trouble.append(str(error))
            print(f'error: {error}', file=sys.stderr)
    return trouble


def _terminate(number, frame) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :param argv: the arguments without the program's name
    :returns: the exit status
    """
    arguments = _parser().parse_args(argv)
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.getsignal(number)
        # What nohup has told to be ignored stays ignored.
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    try:
        return _local(arguments)
    except local_cloud.NeedsGuest as needed:
        print('starting over on a kernel that can run it', flush=True)
        again = [*needed.command, '--visible', str(arguments.report_dir),
                 '--', sys.executable, '-m', _MODULE,
                 *(sys.argv[1:] if argv is None else argv)]
    except (local_cloud.CloudError, runner.RunError, report.ReportError
            ) as error:
        print(f'error: {error}', file=sys.stderr)
        return results.ExitCode.ERROR
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return results.ExitCode.NOT_CERTIFIABLE
    except BrokenPipeError:
        # Whoever read has gone; what is still buffered has no reader.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return results.ExitCode.ERROR
    except OSError as error:
        # A full disk, for one, which is of no one step.
        print(f'error: {error}', file=sys.stderr)
        return results.ExitCode.ERROR
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    # Instead of this process, whose signals and exit status it has then.
    os.execvp(again[0], again)  # noqa: S606


if __name__ == '__main__':
    sys.exit(main())
