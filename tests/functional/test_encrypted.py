# SPDX-License-Identifier: Apache-2.0

"""Backups of encrypted volumes, in a directory."""

import testtools

from tests import keys_cases
from tests.functional import test_contract_default


class DefaultTest(test_contract_default.Directory, keys_cases.FourCases,
                  test_contract_default.base.Contract, testtools.TestCase):
    pass


class PosixTest(test_contract_default.Directory, keys_cases.OfCinder,
                test_contract_default.base.Contract, testtools.TestCase):
    driver = 'cinder.backup.drivers.posix.PosixBackupDriver'
