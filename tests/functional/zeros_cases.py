# SPDX-License-Identifier: Apache-2.0

"""Known defects of Cinder's own chunked drivers."""

import functools
from importlib import metadata
import unittest

from cinder_backup_recovery_tests import known_defects
from local_cloud import releases
from reference_drivers.contract import recovery

_RELEASE = {number: name for name, number in releases.NUMBERS.items()}[
    int(metadata.version('cinder').split('.')[0])]
#: Defects that Cinder's own drivers have in the release that is installed.
KNOWN = known_defects.declared(
    [known_defects.ALL], _RELEASE, 'cinder.backup.drivers.posix')


def known_defect(name, test):
    """A test that must fail where a defect is known, and pass elsewhere."""
    @functools.wraps(test)
    def run(self):
        # A function of this class alone: others inherit the test as well.
        test(self)

    return unittest.expectedFailure(run) if name in KNOWN else run


class ZerosOfIncremental:
    """For tests of a driver that is Cinder's own.

    A restore to a new volume skips zeros, also those that an incremental
    backup has where its parent has data: the data stays. In releases before
    2026.2; the reference drivers do not have it in any.
    """

    test_every_generation_of_a_chain = known_defect(
        'zeros-of-incremental',
        recovery.RecoveryContract.test_every_generation_of_a_chain)
    test_any_rows_lost_and_imported_in_any_order = known_defect(
        'zeros-of-incremental', recovery.RecoveryContract.
        test_any_rows_lost_and_imported_in_any_order)
