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
import tempfile
import time

from cinder_backup_recovery_tests.certification import cloud as local_cloud
from cinder_backup_recovery_tests.certification import report
from cinder_backup_recovery_tests.certification import results
from cinder_backup_recovery_tests.certification import runner

_DESCRIPTION = """\
Prove that volumes come back from exported backup records: run the whole
suite, and say what was shown.
"""

_EPILOG = """\
exit status: 0 certified; 1 a test failed; 2 not certifiable, something was
skipped, filtered or interrupted; 3 the kit, its set-up or its configuration
is wrong.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='cinder-backup-certify', description=_DESCRIPTION,
        epilog=_EPILOG)
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    local = verbs.add_parser(
        'local', help='start a cloud on this machine, certify it, take it '
                      'down', epilog=_EPILOG)
    local.add_argument('--backup', default='default',
                       help='the backup driver (default: %(default)s)')
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
    """Say what runs and what came of it."""

    def __init__(self, total: int):
        self._total = total
        self._done = 0
        self._start = time.monotonic()

    def started(self, test_id: str) -> None:
        """Nothing yet: a line for each end says enough on a terminal."""

    def ended(self, result: results.Result) -> None:
        """Print one result, with its story or its reason."""
        self._done += 1
        print(f'[{self._done}/{self._total}] {result.status.value:5} '
              f'{result.name} ({result.seconds:.1f} s)')
        text = (result.story if result.status is results.Status.PASS
                else '\n'.join(filter(None, (result.story, result.reason))))
        for line in text.strip().splitlines():
            print(f'    {line}')
        sys.stdout.flush()


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
    required: list[str] = []
    run = None
    interrupted = False
    try:
        variables = cloud.up(arguments.backup)
        versions = cloud.versions()
        with tempfile.TemporaryDirectory(prefix='cbrt-stestr-') as temporary:
            environment = runner.environment(variables)
            repository = pathlib.Path(temporary)
            required = runner.list_tests(repository, environment)
            selected = [t for t in required if not arguments.regex or
                        re.search(arguments.regex, t)]
            print(f'{len(selected)} of {len(required)} tests, '
                  f'{arguments.concurrency} workers')
            progress = Progress(len(selected))
            run = runner.Run(repository, environment, arguments.concurrency,
                             arguments.regex)
            try:
                run(progress.started, progress.ended)
            except KeyboardInterrupt:
                interrupted = True
                print('interrupted, taking the cloud down')
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        cloud.copy_logs(arguments.report_dir / 'logs')
        cloud.down()
    verdict = results.judge(required, run.results, interrupted)
    report.write(arguments.report_dir, verdict, run.results, {
        'backup': arguments.backup, 'versions': versions,
        'seconds': round(time.monotonic() - start, 1)})
    return verdict.code


def _terminate(number, frame) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :param argv: the arguments without the program's name
    :returns: the exit status
    """
    arguments = _parser().parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    try:
        return _local(arguments)
    except (local_cloud.CloudError, runner.RunError, report.ReportError
            ) as error:
        print(f'error: {error}', file=sys.stderr)
        return results.ExitCode.ERROR
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return results.ExitCode.NOT_CERTIFIABLE
    except BrokenPipeError:
        os.close(sys.stdout.fileno())
        return results.ExitCode.ERROR


if __name__ == '__main__':
    sys.exit(main())
