# SPDX-License-Identifier: Apache-2.0

"""A drill: copies of real backups, recovered in a cloud on this machine."""
