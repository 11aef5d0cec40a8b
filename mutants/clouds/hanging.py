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
"""Clouds that do not get over a storage which takes requests, and hangs."""


from mutants import catalogue

_HANGS = 'scenario.test_faults.StorageHangsTest.test_hangs_during_import'
_IMPORT = 'reference_drivers.import_verify:ImportVerifyMixin.import_record'


@catalogue.defect(_IMPORT, _HANGS, backup='swift')
def takes_silence_for_consent(original, driver, backup, driver_info):
    """A backup whose storage does not answer is available."""
    from reference_drivers.verification import errors
    try:
        original(driver, backup, driver_info)
    except errors.TimedOut:
        return


@catalogue.defect(_IMPORT, _HANGS, backup='swift')
def waits_for_ever(original, driver, backup, driver_info):
    """An import whose storage does not answer never ends."""
    import threading

    from reference_drivers.verification import errors
    try:
        original(driver, backup, driver_info)
    except errors.TimedOut:
        threading.Event().wait()
