# SPDX-License-Identifier: Apache-2.0
"""The contract, for a driver that is not chunked: the example of one."""

import contextlib
import pathlib
import sys
import unittest

import fixtures
import testtools

from reference_drivers.contract import binding
from reference_drivers.verification import errors

_EXAMPLES = pathlib.Path(__file__).parents[2] / 'doc' / 'source' / 'examples'

sys.path.append(str(_EXAMPLES))

import file_driver  # noqa: E402


class AnyLengthDriver(file_driver.FileBackupDriver):
    """Does not compare lengths."""

    def _check_length(self, backup_id, length):
        self._ask(backup_id, file_driver.os.path.getsize,
                  self._path(backup_id))


class AnyContentDriver(file_driver.FileBackupDriver):
    """Compares no checksum."""

    def _pieces(self, backup_id, sha256):
        with contextlib.suppress(errors.WrongContent):
            yield from super()._pieces(backup_id, sha256)


class BelievesRecordDriver(file_driver.FileBackupDriver):
    """Does not compare a record with what was verified."""

    def _compare(self, backup_id, values, verified):
        pass


class BelievesInfoDriver(file_driver.FileBackupDriver):
    """Takes any driver_info."""

    def import_verify(self, backup, driver_info):
        if driver_info:
            return {}
        return super().import_verify(backup, driver_info)


class NeedsNoInfoDriver(file_driver.FileBackupDriver):
    """Takes a record without driver_info."""

    @staticmethod
    def _need_driver_info(backup):
        pass


class AlarmedDriver(file_driver.FileBackupDriver):
    """Refuses a backup of nothing but zeros."""

    def _pieces(self, backup_id, sha256):
        for piece in super()._pieces(backup_id, sha256):
            if not piece.strip(b'\0'):
                raise errors.WrongContent(f'{self._path(backup_id)} is empty')
            yield piece


class ForgetfulDriver(file_driver.FileBackupDriver):
    """Deletes every backup of its directory."""

    def delete_backup(self, backup):
        for path in pathlib.Path(file_driver.CONF.backup_vault).iterdir():
            path.unlink()


class SaysYesDriver(file_driver.FileBackupDriver):
    """Takes no answer for a yes."""

    def _check_length(self, backup_id, length):
        with contextlib.suppress(errors.Unreadable):
            super()._check_length(backup_id, length)

    _pieces = AnyContentDriver._pieces

    def _ask(self, backup_id, function, *args):
        try:
            return super()._ask(backup_id, function, *args)
        except errors.Unreadable:
            if function is open:
                return open('/dev/null', 'rb')
            raise


class FilesTest(testtools.TestCase):
    """As the program runs it."""

    def setUp(self):
        super().setUp()
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.vault = directory / 'vault'
        self.vault.mkdir()
        self.conf = directory / 'cinder.conf'
        self.conf.write_text(f'[DEFAULT]\nbackup_vault = {self.vault}\n')

    def run_contract(self, driver, *tests,
                     denied=('incremental', 'volume_properties')):
        """Names of the tests that did not pass, and what they said."""
        bound = binding.Binding(
            driver, [str(self.conf)], 'file_objects.FileObjects',
            denied=denied)
        bound.check()
        cases = [one for one in testtools.iterate_tests(bound.tests())
                 if not tests or one.id().rpartition('.test_')[2] in tests]
        self.assertTrue(len(cases) >= len(tests))
        result = unittest.TestResult()
        for one in cases:
            one.run(result)
        self.assertEqual([], list(self.vault.iterdir()))
        self.skipped = {one.id().rpartition('.test_')[2]
                        for one, _ in result.skipped}
        return {one.id().rpartition('.test_')[2]: text
                for one, text in result.failures + result.errors}

    def test_the_example(self):
        """Tests of chunks and chains are skipped, and the rest passes."""
        self.assertEqual({}, self.run_contract(
            'file_driver.FileBackupDriver'))
        self.assertEqual({
            'a_long_chain', 'a_store_that_hangs',
            'a_wrong_parent_in_the_row_and_in_the_metadata',
            'containers_that_users_name', 'delete_spares_what_a_child_needs',
            'driver_info_of_100000_chunks',
            'driver_info_stays_small', 'every_damage_of_compressed_chunks',
            'every_generation_of_a_chain', 'more_chunks_than_a_page',
            'more_than_four_gibibytes',
            'no_backup_on_a_damaged_parent', 'options_that_were_changed',
            'parents_that_lead_astray', 'properties_of_the_volume',
            'wrong_bytes_are_restored_only_when_asked_for'}, self.skipped)

    def test_what_is_claimed_and_not_there(self):
        """Without the word of the profile it is asked for chains."""
        name = 'every_generation_of_a_chain'
        self.assertIn('this driver makes no incremental backups',
                      self.run_contract('file_driver.FileBackupDriver', name,
                                        denied=())[name])

    def test_broken_drivers(self):
        """Each is found by the test that is meant for it."""
        for driver, test, said in (
                (AnyLengthDriver, 'every_damage',
                 'object cut off, at level presence: the import had to end '
                 'in an error, and made the backup available'),
                (AnyContentDriver, 'every_damage',
                 'object changed at its start, at level content: the import '),
                (BelievesRecordDriver, 'records_that_contradict_the_storage',
                 'the import had to end in an error'),
                (BelievesInfoDriver, 'driver_info_that_is_damaged',
                 'the import had to end in an error'),
                (NeedsNoInfoDriver, 'record_without_driver_info',
                 'a record without driver_info, at level presence: the '),
                (AlarmedDriver, 'no_false_alarm_at_any_level', 'is empty'),
                (ForgetfulDriver, 'rows_that_name_what_is_not_theirs',
                 'image'),
                (SaysYesDriver, 'a_store_that_is_stopped',
                 'a store that is stopped, at level presence: the import '
                 'had to end in an error, and made the backup available')):
            found = self.run_contract(f'{__name__}.{driver.__name__}', test)
            self.assertEqual([test], list(found), driver)
            self.assertIn(said, found[test])


