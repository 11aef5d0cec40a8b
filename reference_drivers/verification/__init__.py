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

"""Verify backups of Cinder's chunked drivers, without Cinder's database.

Three levels, named by the question that each answers:

``record``
    Does what was exported agree with itself? No request.
``presence``
    Is everything on the storage that a restore needs, with the right length,
    and the parents too? Two reads for each link of the chain and the pages
    of a listing, however many chunks there are.
``content``
    Does every byte read back with the checksum recorded for it?

A vendor gives :class:`~reference_drivers.verification.store.Store` a class
of its own for what its driver can tell more than the base class asks. Nothing
here writes or deletes.
"""
