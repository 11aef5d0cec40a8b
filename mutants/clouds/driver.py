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
