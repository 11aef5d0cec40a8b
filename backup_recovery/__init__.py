# SPDX-License-Identifier: Apache-2.0

"""Export backup records, and recover the backups of a cloud by them.

The program ``cinder-backup-records``, for operators. It uses the public API
only, and imports no other room.
"""
