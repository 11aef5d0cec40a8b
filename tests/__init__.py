# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

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
