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

"""What every backup driver must satisfy, as tests that a vendor binds."""

import os

from oslo_utils import importutils

# As the program cinder-backup does before anything else. On eventlet Cinder
# hands a driver the volume so that each of its calls runs in another thread,
# and waits for it in a way that stops a process which is not patched.
_patcher = importutils.try_import('cinder.monkey_patch')
if _patcher is not None:
    # Since 2026.2 there is a choice. It stays with the process here, whose
    # other tests may want native threads.
    if os.environ.get('OS_CINDER_DISABLE_EVENTLET_PATCHING') == '0':
        _patcher.patch()
else:
    import eventlet
    eventlet.monkey_patch()

from cinder import objects  # noqa: E402

# Some of Cinder's modules use the objects while they are imported.
objects.register_all()
