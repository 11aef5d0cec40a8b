# SPDX-License-Identifier: Apache-2.0

"""What each command of ``cinder-backup-records`` does, and prints.

Each takes the parsed arguments, and returns the exit status.
"""
