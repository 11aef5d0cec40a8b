# SPDX-License-Identifier: Apache-2.0

"""Base classes for the tests on a real Ceph cluster."""

import os
import sys
import tempfile

import testtools

from local_cloud import exceptions as cloud_exceptions
from local_cloud.servers import ceph_cluster
from local_cloud.servers import ceph_packages
from tests import required

_MISSING = ceph_packages.missing()
if not _MISSING:
    # Once they are imported, their files are not read any more.
    with tempfile.TemporaryDirectory() as _directory:
        try:
            sys.path.insert(0, ceph_packages.link_bindings(_directory))
            import rados
            import rbd
        except cloud_exceptions.MissingPackage as err:
            _MISSING = str(err)
        finally:
            if sys.path[0] == _directory:
                del sys.path[0]

from cinder.backup.drivers import ceph as cinder_ceph  # noqa: E402
from os_brick.initiator import linuxrbd  # noqa: E402

from backup_stores import rbd as rbd_store  # noqa: E402
from reference_drivers.contract import images  # noqa: E402


def need_ceph():
    """Skip where Ceph is not installed, unless it has to be."""
    if _MISSING:
        required.missing('CBRT_REQUIRE_CEPH', _MISSING)
    # Another test may have imported these before there were bindings.
    for module in (linuxrbd, cinder_ceph, images, rbd_store):
        module.rados, module.rbd = rados, rbd


class ClusterCase(testtools.TestCase):
    """Has a cluster for all tests of the class."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if _MISSING:
            return
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        # A test run that is killed leaves no daemons.
        cls.cluster = ceph_cluster.Cluster(
            os.path.join(directory.name, 'ceph'), tied=True)
        cls.cluster.start()
        cls.addClassCleanup(cls.cluster.stop)

    def setUp(self):
        need_ceph()
        super().setUp()
