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

"""Ceph: RBD images and their snapshots, as Cinder's driver stores them.

Ceph keeps no checksum that a client could compare: with one replica a byte
that was overwritten, or a data object that was removed, reads back as other
data and without an error. So the record carries a digest of the content,
made when it is exported.
"""

from reference_drivers.ceph.driver import CephBackupDriver

__all__ = ['CephBackupDriver']
