# SPDX-License-Identifier: Apache-2.0
"""The backup driver by which the defects come into Cinder's process."""

from mutants import catalogue
from mutants.clouds import switch
from reference_drivers import default
from reference_drivers import swift


class SwitchedBackupDriver(default.DefaultBackupDriver):
    """The reference driver for a directory, with nothing changed."""


class SwitchedSwiftBackupDriver(swift.SwiftBackupDriver):
    """The reference driver for Swift, with nothing changed."""


switch.install(catalogue.clouds())
