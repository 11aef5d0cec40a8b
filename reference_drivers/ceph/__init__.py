# SPDX-License-Identifier: Apache-2.0

"""Ceph: RBD images and their snapshots, as Cinder's driver stores them.

Ceph keeps no checksum that a client could compare: with one replica a byte
that was overwritten, or a data object that was removed, reads back as other
data and without an error. So the record carries a digest of the content,
made when it is exported.
"""

from reference_drivers.ceph.driver import CephBackupDriver

__all__ = ['CephBackupDriver']
