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

"""What a run leaves for people and for machines to read."""

from collections.abc import Sequence
import datetime
from importlib import metadata
import json
import pathlib
import platform
import tempfile
from typing import Any

from cinder_backup_recovery_tests.certification import results

_SLOWEST = 10
_NAME = 'results.json'


class ReportError(Exception):
    """The report cannot be written."""


def prepare(directory: pathlib.Path) -> None:
    """Make the directory, before anything that takes long.

    :raises ReportError: if it cannot be written to
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _NAME).unlink(missing_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise ReportError(f'the report cannot be written to {directory}: '
                          f'{error.strerror}') from error


def write(directory: pathlib.Path, verdict: results.Verdict,
          outcome: Sequence[results.Result], about: dict[str, Any]) -> None:
    """Write ``results.json`` and print the summary.

    :param about: what was certified, and how long it took
    :raises ReportError: if it cannot be written
    """
    document = {
        'verdict': verdict.code.name.lower().replace('_', ' '),
        'exit_code': int(verdict.code),
        'reasons': list(verdict.reasons),
        'date': datetime.datetime.now(datetime.UTC).isoformat(
            timespec='seconds'),
        'kit': metadata.version('cinder-backup-recovery-tests'),
        'machine': {'system': platform.platform(),
                    'python': platform.python_version()},
        **about,
        'known_defects': [
            {'defect': what, 'tests': tests}
            for what, tests in results.known(outcome).items()],
        'tests': [{
            'id': r.test_id, 'status': r.status.value,
            'seconds': round(r.seconds, 2), 'reason': r.reason,
            'story': r.story.splitlines()} for r in outcome],
    }
    path = directory / _NAME
    try:
        path.write_text(json.dumps(document, indent=2) + '\n')
    except OSError as error:
        raise ReportError(f'the report cannot be written to {path}: '
                          f'{error.strerror}') from error

    print(f'\nslowest {_SLOWEST}:')
    for result in sorted(outcome, key=lambda r: -r.seconds)[:_SLOWEST]:
        print(f'  {result.seconds:6.1f} s  {result.name}')
    counts = {status: sum(r.status is status for r in outcome)
              for status in results.Status}
    print('\n' + ', '.join(f'{count} {status.value}'
                           for status, count in counts.items()) +
          f'; {about["seconds"]:.0f} s in all')
    for what, tests in results.known(outcome).items():
        print(f'  {what}: {len(tests)} '
              f'{"test" if len(tests) == 1 else "tests"}')
    for reason in verdict.reasons:
        print(f'  {reason}')
    print(f'{document["verdict"]} (exit status {int(verdict.code)}); '
          f'report: {path}')
