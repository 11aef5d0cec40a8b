# SPDX-License-Identifier: Apache-2.0
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
