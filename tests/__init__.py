# SPDX-License-Identifier: Apache-2.0

"""Tests of the kit itself."""

import logging
import os
import signal

# Many tests make a driver fail and log it. Without any handler Python prints
# that to standard error, between the results.
logging.getLogger().addHandler(logging.NullHandler())

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a script's background job has it: programs that tests start would
    # inherit that, and ignore the Ctrl-C of a test.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if os.environ.get('OS_CINDER_DISABLE_EVENTLET_PATCHING') == '0':
    # What a test imports is to find all of it patched, as in cinder-backup.
    import reference_drivers.contract  # noqa: F401
