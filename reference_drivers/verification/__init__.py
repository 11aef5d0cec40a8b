# SPDX-License-Identifier: Apache-2.0

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
