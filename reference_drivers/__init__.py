# SPDX-License-Identifier: Apache-2.0

"""Backup drivers whose exported records can be trusted.

An operator names one of them as ``backup_driver`` in cinder.conf. Each is
Cinder's own driver and stores what that stores; it adds what the blueprint
cinder-backup-recover-api asked of a driver: a record that says where the
backup is and what it must look like, and an import that proves it.
"""
