# SPDX-License-Identifier: Apache-2.0

"""Backups found by what the storage alone has of them.

For the day on which rows and records are both lost. Objects are grouped by the
backup that their names belong to, and each group gets a class. Nothing here
writes to the storage, and none of it asks a database.
"""
