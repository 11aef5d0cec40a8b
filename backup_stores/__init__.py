# SPDX-License-Identifier: Apache-2.0

"""Damage and copy backups on their storage, with a class for each store.

A vendor derives from :class:`chunked.ChunkedStore`, or from
:class:`objects.ObjectStore` for backups that are not stored in chunks, and
implements ``list``, ``read``, ``write`` and ``delete``. Options are handed in
as plain values. Nothing here imports Tempest or Cinder.
"""
