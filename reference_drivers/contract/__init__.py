# SPDX-License-Identifier: Apache-2.0

"""Tests for any backup driver, which a vendor binds to one."""

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
