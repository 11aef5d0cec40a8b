# SPDX-License-Identifier: Apache-2.0

"""The program that verifies outside of an import."""

import io
import json
import os

from cinder import exception
import testtools

from reference_drivers import verify
from reference_drivers.contract import base
from reference_drivers.contract import environment
from tests import programs


class VerifyCommandTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.cinder = environment.Environment(
            'reference_drivers.default.DefaultBackupDriver', {
                'backup_file_size': 65536,
                'backup_enable_progress_timer': False})
        self.useFixture(self.cinder)
        self.backups = [self.cinder.create_backup(
            self.cinder.create_volume(base.text(200000, seed)))
            for seed in (1, 2)]

    def run_command(self, *words):
        arguments = verify.parser().parse_args(words)
        self.out, self.log = io.StringIO(), io.StringIO()
        return verify.Command(
            arguments, self.cinder.driver(), self.cinder.context, self.out,
            self.log).run()

    def damage(self):
        backup = self.backups[1]
        path = os.path.join(self.cinder.directory, 'backup',
                            backup.container, backup.service_metadata)
        os.remove(path + '-00002')
        return backup

    def test_good(self):
        self.assertEqual(0, self.run_command('--all'))
        self.assertEqual(sorted(f'{one.id} good' for one in self.backups),
                         sorted(self.out.getvalue().splitlines()))

    def test_damaged(self):
        bad = self.damage()
        self.assertEqual(0, self.run_command(self.backups[0].id))
        self.assertEqual(1, self.run_command('--all'))
        self.assertIn(f'{bad.id} DAMAGED\n  missing: object '
                      f'{bad.service_metadata}-00002 is missing\n',
                      self.out.getvalue())

    def test_json_and_progress(self):
        bad = self.damage()
        self.assertEqual(1, self.run_command('--all', '--json', '--level',
                                             'content'))
        values = {one['backup_id']: one for one in
                  map(json.loads, self.out.getvalue().splitlines())}
        self.assertEqual({True, False},
                         {one['ok'] for one in values.values()})
        self.assertFalse(values[bad.id]['ok'])
        self.assertEqual(200000, values[self.backups[0].id]['bytes_read'])
        self.assertIn(f'{self.backups[0].id} 200000/200000 bytes\n',
                      self.log.getvalue())
        self.run_command('--all', '--quiet', '--level', 'content')
        self.assertEqual('', self.log.getvalue())

    def test_part_and_budget(self):
        words = ('--json', '--level', 'content', self.backups[0].id)
        read = []
        for part in ('1/2', '2/2'):
            self.assertEqual(0, self.run_command('--part', part, *words))
            read.append(json.loads(self.out.getvalue())['bytes_read'])
        self.assertEqual(200000, sum(read))
        self.run_command('--budget', '70000', *words)
        self.assertEqual(65536,
                         json.loads(self.out.getvalue())['bytes_read'])

    def test_what_cannot_be_verified_is_no_pass(self):
        missing = self.cinder.create_volume().id
        self.assertEqual(3, self.run_command(missing, self.backups[0].id))
        self.assertIn(f'{missing} NOT VERIFIED', self.out.getvalue())
        os.rename(os.path.join(self.cinder.directory, 'backup'),
                  os.path.join(self.cinder.directory, 'away'))
        self.assertEqual(3, self.run_command('--all', '--json'))
        # It is not known whether it is damaged.
        self.assertEqual(
            [None, None],
            [json.loads(one)['ok']
             for one in self.out.getvalue().splitlines()])

    def test_no_backup_of_this_driver(self):
        """As after a change of backup_driver: nothing was verified."""
        for backup in self.backups:
            backup.service = 'cinder.backup.drivers.nfs.NFSBackupDriver'
            backup.save()
        self.assertEqual(3, self.run_command('--all'))
        self.assertEqual(
            'error: no available backup was made by '
            'reference_drivers.default.DefaultBackupDriver; those in the '
            'database are of cinder.backup.drivers.nfs.NFSBackupDriver\n',
            self.log.getvalue())
        for backup in self.backups:
            self.cinder.lose_row(backup.id)
        self.assertEqual(3, self.run_command('--all', '--json'))
        self.assertEqual('', self.out.getvalue())

    def test_driver_that_is_ready_without_a_user(self):
        driver = verify.open_driver(
            'reference_drivers.default.DefaultBackupDriver',
            self.cinder.context)
        self.assertEqual(environment.CONF.backup_posix_path,
                         driver.backup_path)
        self.assertRaises(exception.InvalidInput, verify.open_driver,
                          'cinder.backup.drivers.posix.PosixBackupDriver',
                          self.cinder.context)

    def test_wrong_command_lines(self):
        for words in ([], ['--all', 'x'], ['x', '--part', '3/2'],
                      ['x', '--part', 'a'], ['x', '--level', 'record'],
                      ['x', 'y', '--restored', 'z'],
                      ['--all', '--restored', 'z'],
                      ['x', '--restored', 'z', '--part', '1/2'],
                      ['x', '--records', 'z'], ['x', '--ignore-rest']):
            code, _, said = programs.call(verify.main, *words)
            self.assertEqual(3, code)
            self.assertRegex(said, r'\Aerror: .*; see '
                             r'cinder-backup-verify --help\n\Z')
