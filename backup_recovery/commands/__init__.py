# SPDX-License-Identifier: Apache-2.0

"""The commands of ``cinder-backup-records``, and the lines that they print.

Each takes the parsed arguments, and returns the exit status.
"""
