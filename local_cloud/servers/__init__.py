# SPDX-License-Identifier: Apache-2.0

"""Databases and stores that this machine has installed, without a cloud."""
