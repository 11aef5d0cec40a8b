# SPDX-License-Identifier: Apache-2.0

"""A whole recovery at a time: loss, import, restore, compare."""
