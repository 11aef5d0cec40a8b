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

"""The document ``results.json``, which all other reports are made from."""

from collections.abc import Mapping
from collections.abc import Sequence
import datetime
from importlib import metadata
import json
import pathlib
import platform
import subprocess
from typing import Any

import jsonschema

from cinder_backup_recovery_tests.certification import levels
from cinder_backup_recovery_tests.certification import results
from cinder_backup_recovery_tests.certification import suite

#: The version of the schema that is written.
VERSION = 1
_PROJECT = 'cinder-backup-recovery-tests'
_HERE = pathlib.Path(__file__).parent


def build(required: Sequence[str], outcome: Sequence[results.Result],
          verdict: results.Verdict, manifest: levels.Manifest | None,
          about: Mapping[str, Any]) -> dict[str, Any]:
    """Write down what a run has shown.

    :param required: the ids of all tests that the suite has
    :param outcome: what came of them, without secrets
    :param verdict: what follows from it
    :param manifest: the levels
    :param about: what was certified and how long it took, and all else that
        the verdict is made from
    """
    return {
        'schema': VERSION,
        'verdict': verdict.word,
        'exit_code': int(verdict.code),
        'reasons': list(verdict.reasons),
        'date': datetime.datetime.now(datetime.UTC).isoformat(
            timespec='seconds'),
        'kit': version(),
        'commit': commit(),
        'machine': {'system': platform.platform(),
                    'python': platform.python_version()},
        'suite': suite.describe(required),
        'interrupted': False, 'trouble': [], 'denied': [],
        'contradictions': [], 'configuration': {}, 'quick': None,
        **about,
        'manifest': manifest.digest if manifest else None,
        'levels': earned(verdict),
        'known_defects': known_defects(outcome),
        'required': sorted(required),
        'tests': [{
            'id': r.test_id, 'status': r.status.value,
            'seconds': round(max(r.seconds, 0), 2), 'reason': r.reason,
            'configuration': r.configuration,
            'story': r.story.splitlines(),
            'requests': list(r.requests)} for r in outcome],
    }


def earned(verdict: results.Verdict) -> list[dict[str, Any]]:
    """The levels of a verdict, as the document has them."""
    return [{
        'name': one.level, 'state': one.state.value,
        'counts': {status.value if status else 'not run': number
                   for status, number in one.counts.items()},
        'without': one.without} for one in verdict.earned]


def known_defects(outcome: Sequence[results.Result]) -> list[dict[str, Any]]:
    """The known defects of results, as the document has them."""
    return [{'defect': what, 'tests': tests}
            for what, tests in results.known(outcome).items()]


def outcome_of(document: Mapping[str, Any]) -> list[results.Result]:
    """The results that a document was made from."""
    return [results.Result(
        test['id'], results.Status(test['status']), test['seconds'],
        test['reason'], '\n'.join(test['story']),
        test.get('configuration', False), tuple(test.get('requests', ()))
    ) for test in document['tests']]


def verdict_of(document: Mapping[str, Any],
               manifest: levels.Manifest | None) -> results.Verdict:
    """What follows from the results of a document, whatever it says itself.

    :param manifest: the levels; None for a run that had none
    """
    outcome = outcome_of(document)
    if document['quick'] is not None:
        verdict = results.judge_quick(document['quick'], outcome,
                                      document['interrupted'])
    else:
        verdict = results.judge(
            document['required'], outcome, document['interrupted'], manifest,
            document['denied'], document['contradictions'])
    return results.in_trouble(verdict, document['trouble'])


def problems(document: Any) -> list[str]:
    """What is wrong with a document by its schema, one line each."""
    schema = json.loads(
        (_HERE / 'data' / f'results-{VERSION}.schema.json').read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f'{error.json_path}: {error.message}'
            for error in validator.iter_errors(document)]


def version() -> str:
    """The version of this project."""
    return metadata.version(_PROJECT)


def commit() -> str:
    """The commit of this project, as far as that can be told."""
    top = _HERE.parents[1]
    if (top / '.git').exists():
        try:
            done = subprocess.run(
                ['git', '-C', str(top), 'describe', '--always', '--dirty',
                 '--abbrev=12', '--exclude', '*'],
                capture_output=True, text=True)
        except OSError:
            # No git here; what pbr has written down may be of old.
            return ''
        return done.stdout.strip()
    try:
        text = metadata.distribution(_PROJECT).read_text('pbr.json') or '{}'
        return str(json.loads(text).get('git_version') or '')
    except (metadata.PackageNotFoundError, ValueError):
        return ''
