# SPDX-License-Identifier: Apache-2.0

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

from cinder_backup_recovery_tests.certification.run import suite
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import tiers

#: The version of the schema that is written.
VERSION = 2
#: What a run that nothing is said of is taken for.
ABOUT: Mapping[str, Any] = {
    'interrupted': False, 'trouble': [], 'denied': [], 'contradictions': [],
    'configuration': {}, 'quick': None}
_PROJECT = 'cinder-backup-recovery-tests'
_HERE = pathlib.Path(__file__).parents[1]


def build(required: Sequence[str], outcome: Sequence[results.Result],
          manifest: tiers.Manifest | None, about: Mapping[str, Any]
          ) -> dict[str, Any]:
    """Write down what a run has shown, and judge it.

    :param required: the ids of all tests that the suite has
    :param manifest: the tiers; None for a run that has none
    :param about: what was certified and how long it took, and all else that
        the verdict is made from; see :data:`ABOUT`
    """
    facts = {
        'schema': VERSION,
        'date': datetime.datetime.now(datetime.UTC).isoformat(
            timespec='seconds'),
        'kit': version(),
        'commit': commit(),
        'machine': {'system': platform.platform(),
                    'python': platform.python_version()},
        'suite': suite.describe(required),
        **ABOUT, **about,
        'manifest': manifest.digest if manifest else None,
        'required': sorted(required),
        'tests': [result.as_document() for result in outcome],
    }
    return {**facts, **judgement(facts, manifest)}


def judgement(facts: Mapping[str, Any], manifest: tiers.Manifest | None
              ) -> dict[str, Any]:
    """Judge the facts of a document, and ignore its own verdict.

    :param manifest: the tiers; None for a run that had none
    """
    outcome = outcome_of(facts)
    if facts['quick'] is not None:
        verdict = results.judge_quick(facts['quick'], outcome,
                                      facts['interrupted'])
    else:
        verdict = results.judge(
            facts['required'], outcome, facts['interrupted'], manifest,
            facts['denied'], facts['contradictions'])
    verdict = results.in_trouble(verdict, facts['trouble'])
    return {
        'verdict': verdict.word,
        'exit_code': int(verdict.code),
        'reasons': list(verdict.reasons),
        'not_run': list(verdict.missing),
        'tiers': [{
            'name': one.tier, 'state': one.state.value,
            'counts': {status.value if status else 'not run': number
                       for status, number in one.counts.items()},
            'without': one.without} for one in verdict.earned],
        'known_defects': _known_defects(outcome),
    }


def _known_defects(outcome: Sequence[results.Result]) -> list[dict[str, Any]]:
    what = {one.facts.defect.name: one.facts.defect.what
            for one in outcome if one.facts.defect}
    return [{'name': name, 'defect': what[name], 'tests': tests}
            for name, tests in results.known(outcome).items()]


def outcome_of(document: Mapping[str, Any]) -> list[results.Result]:
    """The results that a document was made from."""
    return [results.Result.of(test) for test in document['tests']]


def problems(document: Any) -> list[str]:
    """List the violations of the schema in a document, one line each."""
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
