# SPDX-License-Identifier: Apache-2.0

"""Software that a test needs, and that the gate must have."""

import os
import unittest


def missing(variable, reason):
    """Skip, or fail where the variable is 1: the gate skips nothing."""
    if os.environ.get(variable) == '1':
        raise AssertionError(f'{variable} is set, but {reason}')
    raise unittest.SkipTest(reason)
