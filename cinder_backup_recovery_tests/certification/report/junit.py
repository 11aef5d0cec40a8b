# SPDX-License-Identifier: Apache-2.0

"""The report as JUnit's XML, for systems that show tests."""

from collections.abc import Mapping
import re
from typing import Any
from xml.etree import ElementTree

from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import results

# What XML 1.0 cannot hold, not even as a reference.
_NOT_XML = re.compile('[^\t\n\r\u0020-\ud7ff\ue000-\ufffd'
                      '\U00010000-\U0010ffff]')

_ELEMENTS = {results.Status.FAIL: 'failure', results.Status.ERROR: 'error',
             results.Status.SKIP: 'skipped', results.Status.KNOWN: 'skipped'}


def render(document: Mapping[str, Any]) -> str:
    """Write a document as JUnit's XML.

    A known defect is skipped there: the format has no word for it, and its
    message says what it is. What did not run is an error.
    """
    outcome = document_.outcome_of(document)
    missing = [t for t in document['required']
               if not any(r.covers(t) for r in outcome)]
    suite = ElementTree.Element('testsuite', {
        'name': 'cinder-backup-recovery-tests',
        'timestamp': document['date'][:19],
        'time': f'{document["seconds"]:.1f}',
        'tests': str(len(outcome) + len(missing)),
        'failures': str(_count(outcome, results.Status.FAIL)),
        'errors': str(_count(outcome, results.Status.ERROR) + len(missing)),
        'skipped': str(_count(outcome, results.Status.SKIP) +
                       _count(outcome, results.Status.KNOWN))})
    properties = ElementTree.SubElement(suite, 'properties')
    for name in ('verdict', 'backup', 'kit', 'commit'):
        ElementTree.SubElement(properties, 'property', {
            'name': name, 'value': _text(str(document[name]))})
    for tier in document['tiers']:
        ElementTree.SubElement(properties, 'property', {
            'name': f'tier {tier["name"]}', 'value': tier['state']})
    for result in outcome:
        case = _case(suite, result.test_id, result.scope, result.seconds)
        if result.status in _ELEMENTS:
            ElementTree.SubElement(
                case, _ELEMENTS[result.status],
                {'message': _text(result.why)}).text = _text(result.reason)
        told = '\n'.join(filter(None, (
            result.story, *map(str, result.requests))))
        if told:
            ElementTree.SubElement(case, 'system-out').text = _text(told)
    for test_id in missing:
        case = _case(suite, test_id, test_id.split('[')[0].rpartition('.')[0],
                     0)
        ElementTree.SubElement(case, 'error', {'message': 'it did not run'})
    ElementTree.indent(suite, ' ')
    return ElementTree.tostring(
        suite, 'utf-8', xml_declaration=True).decode() + '\n'


def _count(outcome: list[results.Result], status: results.Status) -> int:
    return sum(result.status is status for result in outcome)


def _case(suite: ElementTree.Element, test_id: str, scope: str,
          seconds: float) -> ElementTree.Element:
    # A set-up has the name of its class in it, and no class before it.
    name = (test_id.split(' (')[0] if test_id.endswith(')') else
            test_id.removeprefix(f'{scope}.'))
    return ElementTree.SubElement(suite, 'testcase', {
        'classname': _text(scope), 'name': _text(name),
        'time': f'{seconds:.2f}'})


def _text(text: str) -> str:
    return _NOT_XML.sub('\ufffd', text)
