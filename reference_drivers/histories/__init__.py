# SPDX-License-Identifier: Apache-2.0

"""Histories in one process, with Cinder's own code and a backup driver."""
