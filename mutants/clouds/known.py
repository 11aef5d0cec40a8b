# SPDX-License-Identifier: Apache-2.0
"""Cinder unchanged, with one of its known defects not declared.

The tests that meet such a defect end as expected failures where it is
declared. Here each of them has to find it.
"""

from cinder_backup_recovery_tests import known_defects
from mutants import catalogue

_BAD = 'api.test_bad_records.BadRecordTest.test_'
_QUOTA = 'api.test_quota.QuotaTest.test_'

#: By the name of the defect. Not those that need not show each time, nor with
#: a driver that verifies.
_FOUND_BY = {
    'import-deep-json': (f'{_BAD}deep_json',),
    'import-failed-keeps-quota': (f'{_QUOTA}failed_import_gives_back',),
    'import-id-without-text': tuple(
        f'{_BAD}id_is_no_text_{name}' for name in (
            '1_None', '2___', '3___id__')),
    'import-killed-stays-creating': (
        'scenario.test_faults.KilledServiceTest.test_killed_during_import',),
    'import-keeps-fail-reason': (f'{_BAD}true_record_after_bad_one',),
    'import-negative-size': (f'{_QUOTA}negative_size_gives_nothing',),
    'import-stays-creating': tuple(
        f'{_BAD}wrong_type_of_{name}' for name in (
            '1_count', '3_text', '4_time')),
    'import-twice-at-once': (f'{_QUOTA}same_record_at_once',),
}

for _name, _tests in _FOUND_BY.items():
    catalogue.known(_name, known_defects.DEFECTS[_name].what, *_tests)
