# SPDX-License-Identifier: Apache-2.0
"""The backup driver by which the defects come into Cinder's process."""

from typing import Any

from oslo_utils import importutils

from mutants import catalogue
from mutants.clouds import switch
from reference_drivers import default
from reference_drivers import swift

_FAULTY = {one.name: one.path for one in catalogue.drivers()}


class SwitchedBackupDriver(default.DefaultBackupDriver):
    """The reference driver for a directory, or a faulty one in its place."""

    # Cinder makes a driver for each request.
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        path = _FAULTY.get(switch.active())
        return (importutils.import_class(path)(*args, **kwargs) if path else
                super().__new__(cls))


class SwitchedSwiftBackupDriver(swift.SwiftBackupDriver):
    """The reference driver for Swift, with nothing changed."""


switch.install(catalogue.clouds())
