# SPDX-License-Identifier: Apache-2.0

"""Backups of encrypted volumes, and keys that travel, in other storages."""

import testtools

from reference_drivers.contract import base
from reference_drivers.contract import ceph
from tests import keys_cases
from tests import travel_cases
from tests.functional import ceph_cases
from tests.functional import test_contract_ceph
from tests.functional import test_contract_s3
from tests.functional import test_contract_swift


class Stored(keys_cases.OfReference, travel_cases.TravelTests,
             travel_cases.Travel):
    """The findings of the tests of a directory."""


class SwiftTest(test_contract_swift.Swift, Stored, base.Contract,
                testtools.TestCase):
    pass


class S3Test(test_contract_s3.S3, Stored, base.Contract, testtools.TestCase):
    pass


class CephImagesTest(Stored, ceph.Backups, base.Contract,
                     ceph_cases.ClusterCase):
    driver = test_contract_ceph.Ceph.driver
    options = test_contract_ceph.Ceph.options
    make_environment = ceph.CephContract.make_environment
    as_images = True


class CephFilesTest(CephImagesTest):
    as_images = False
