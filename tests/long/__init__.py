# SPDX-License-Identifier: Apache-2.0

"""Tests that take minutes each and rarely fail, in a command of their own."""
