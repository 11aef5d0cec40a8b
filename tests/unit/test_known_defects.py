# SPDX-License-Identifier: Apache-2.0

import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import known_defects
from local_cloud import releases


class KnownDefectsTest(testtools.TestCase):
    def test_table(self):
        """The table has the fields for manual, operator and certification."""
        for name, defect in known_defects.DEFECTS.items():
            self.assertTrue(defect.what and defect.detail and defect.releases,
                            name)
            self.assertRegex(defect.what, r'^[a-z].*[^.]$')
            self.assertRegex(defect.detail, r'\.$')
        self.assertEqual(tuple(releases.NUMBERS), known_defects.RELEASES)
        self.assertEqual(
            [], [*known_defects.problems(['all'], known_defects.MASTER)])

    def test_all_of_a_release_and_a_driver(self):
        def declared(release, driver, *entries):
            return known_defects.declared(entries or ['all'], release, driver)

        reference = 'reference_drivers.default.DefaultBackupDriver'
        posix = 'cinder.backup.drivers.posix.PosixBackupDriver'
        zeros = {'zeros-of-incremental'}
        # What is not of a driver is of each.
        self.assertLessEqual(zeros, declared('2026.1', posix) -
                             declared('2026.1', reference))
        for driver in posix, 'cinder.backup.drivers.posix':
            self.assertLessEqual(zeros, declared('2026.1', driver))
        for driver in 'cinder.backup.drivers.positron.Driver', 'cinder', '':
            self.assertFalse(zeros & declared('2026.1', driver))
        self.assertFalse(zeros & declared('2026.2', posix))
        self.assertEqual(declared('2026.2', posix), declared('master', posix))
        for release, found in (('2026.1', zeros), ('2025.2', set())):
            self.assertEqual(found, declared(
                release, reference, 'zeros-of-incremental@2026.1'))
        self.assertEqual(zeros, declared('', '', 'zeros-of-incremental'))

    def test_all_of_the_volumes(self):
        """Each cloud has its own, and a defect may be of files only."""
        for protocol, declares in (('NFS', True), ('file', True),
                                   ('iSCSI', False), ('', False)):
            self.assertEqual(declares, 'restore-cuts-files' in (
                known_defects.declared(['all'], '2026.2', '', protocol)))
        self.assertIn('restore-cuts-files', known_defects.declared(
            ['restore-cuts-files'], '', '', 'iSCSI'))

    def outcome(self, failure, declared):
        """The end of a test that meets a failure."""
        class Inner(testtools.TestCase):
            def test(self):
                with known_defects.expected(
                        self, facts.Facts(), declared, 'zeros-of-incremental',
                        looks=lambda exc: 'zeros' in str(exc)):
                    raise failure

        result = testtools.TestResult()
        Inner('test').run(result)
        return (len(result.expectedFailures),
                len(result.failures) + len(result.errors))

    def test_only_what_looks_like_it_is_excused(self):
        zeros = exceptions.ContentMismatch('no zeros')
        garbage = exceptions.ContentMismatch('garbage')
        declared = ['zeros-of-incremental']
        self.assertEqual((1, 0), self.outcome(zeros, declared))
        self.assertEqual((0, 1), self.outcome(zeros, []))
        self.assertEqual((0, 1), self.outcome(garbage, declared))
        self.assertEqual((0, 1), self.outcome(garbage, []))

    def test_a_name_that_is_none(self):
        self.assertRaises(
            KeyError,
            known_defects.expected(
                self, facts.Facts(), [], 'no-such').__enter__)
