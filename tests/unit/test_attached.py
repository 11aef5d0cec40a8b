# SPDX-License-Identifier: Apache-2.0

"""The test that needs a Nova, as far as it goes without one."""

import os
import pathlib
import subprocess
from types import SimpleNamespace
from unittest import mock

import fixtures
from tempest.scenario import manager
import testtools

from cinder_backup_recovery_tests import base
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import steps
from cinder_backup_recovery_tests.certification.run import runner
from cinder_backup_recovery_tests.scenario import guests
from cinder_backup_recovery_tests.scenario import test_attached

_NAME = 'test_files_of_a_server_recovered'
_TOOL = '#!/bin/sh\necho "${0##*/} $*" >> "$CALLS"\n'
# As the user who is root already; only what would touch this machine is not
# done.
_SUDO = '''#!/bin/sh
case "$*" in *drop_caches*) exit 0;; esac
exec "$@"
'''


class Shell:
    """Runs the commands of a guest here, in place of a server."""

    def __init__(self, directory):
        self.calls = directory / 'calls'
        self.calls.touch()
        tools = directory / 'bin'
        tools.mkdir()
        for name, text in (('sudo', _SUDO), ('mkfs', _TOOL), ('sync', _TOOL),
                           ('mount', _TOOL), ('umount', _TOOL)):
            (tools / name).write_text(text)
            (tools / name).chmod(0o700)
        self.environment = {**os.environ, 'CALLS': str(self.calls),
                            'PATH': f'{tools}:{os.environ["PATH"]}'}
        self.disks = ['sr0 vda', 'sr0 vda', 'sr0 vda vdb']

    def exec_command(self, cmd):
        if cmd == 'ls /sys/block':
            return (self.disks.pop(0) if len(self.disks) > 1
                    else self.disks[0]) + '\n'
        # As Tempest begins each of them.
        return subprocess.run(
            ['bash', '-c', f'set -eu -o pipefail; PATH=$PATH:/sbin; {cmd}'],
            env=self.environment, check=True, capture_output=True,
            text=True).stdout


class GuestTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.mount = directory / 'mount'
        self.useFixture(fixtures.MockPatchObject(guests, '_MOUNT',
                                                 str(self.mount)))
        self.useFixture(fixtures.MockPatchObject(guests, '_KIB', 4))
        self.shell = Shell(directory)
        self.guest = guests.Guest(self.shell, 0.001, 0.05)

    def test_disk_that_comes(self):
        self.assertEqual('vdb', self.guest.new_disk(self.guest.disks()))

    def test_disk_that_never_comes(self):
        self.shell.disks = ['vda']
        error = self.assertRaises(exceptions.WaitTimeout,
                                  self.guest.new_disk, {'vda'})
        self.assertIn('no disk more than vda', str(error))

    def test_files(self):
        self.guest.format('vdb')
        with self.guest.mounted('vdb'):
            self.guest.write('kept')
            before = self.guest.checksums()
            self.assertEqual(before, self.guest.checksums())
            self.guest.write('later')
            self.assertNotEqual(before, self.guest.checksums())
        self.assertEqual(
            ['kept-0', 'kept-1', 'kept-2'],
            [line.split()[1] for line in before.splitlines()])
        self.assertEqual(3, len({line.split()[0]
                                 for line in before.splitlines()}))
        calls = self.shell.calls.read_text().splitlines()
        self.assertEqual('mkfs -t ext4 /dev/vdb', calls[0])
        self.assertEqual(f'mount -t ext4 /dev/vdb {self.mount}', calls[1])
        self.assertEqual(f'umount {self.mount}', calls[-1])
        self.assertIn('sync ', calls)

    def test_unmounted_after_a_failure(self):
        def fail():
            with self.guest.mounted('vdb'):
                raise ValueError

        self.assertRaises(ValueError, fail)
        self.assertIn(f'umount {self.mount}', self.shell.calls.read_text())


class AttachedVolumeTest(testtools.TestCase):
    TESTED = test_attached.AttachedVolumeTest

    def skipped(self, **missing):
        """The reason for which the class is skipped."""
        available = {'nova': True, 'run_validation': True, **missing}
        conf = SimpleNamespace(
            service_available=SimpleNamespace(nova=available['nova']),
            validation=SimpleNamespace(
                run_validation=available['run_validation']))
        with mock.patch.object(base.BackupRecoveryTest, 'skip_checks'), \
                mock.patch.object(test_attached, 'CONF', conf):
            try:
                self.TESTED.skip_checks()
            except testtools.TestCase.skipException as reason:
                return str(reason)
        return None

    def test_skipped_by_configuration(self):
        self.assertEqual(
            'AttachedVolumeTest: [service_available] nova is false',
            self.skipped(nova=False))
        self.assertEqual(
            'AttachedVolumeTest: [validation] run_validation is false',
            self.skipped(run_validation=False))
        self.assertIsNone(self.skipped())

    def test_its_mark(self):
        """By which a certification of a local cloud leaves it out."""
        self.assertRegex(self.TESTED(_NAME).id(), runner.NOVA)

    def test_interface_of_tempest(self):
        for name in ('create_keypair', 'create_security_group',
                     'create_server', 'get_server_ip', 'get_remote_client',
                     'nova_volume_attach', 'nova_volume_detach',
                     'get_tenant_network'):
            self.assertTrue(callable(getattr(manager.ScenarioTest, name)))

    def run_it(self, *checksums):
        """Run the test with a guest that has these checksums."""
        told = []
        guest = mock.MagicMock(**{
            'checksums.side_effect': checksums,
            'write.side_effect': lambda name: told.append(name)})
        tested = self.TESTED(_NAME)
        tested.size_bytes = 1 << 30
        tested.story = steps.Story()
        tested.cloud = mock.MagicMock()
        tested.patience = mock.MagicMock()
        tested.resources = mock.MagicMock(**{
            'create_backup.side_effect':
                lambda volume_id, force: told.append(
                    f'backup, force={force}') or {'id': 'B'},
            'import_record.side_effect': lambda record: told.append('import'),
        })
        for name, value in (
                ('lose_rows', lambda records: told.append('loss')),
                ('check_driver', lambda record: None),
                ('assert_recovered', lambda view, record: None),
                ('_boot', lambda: ({'id': 'S'}, guest)),
                ('nova_volume_attach', lambda server, volume: told.append(
                    'attach')),
                ('nova_volume_detach', lambda server, volume: told.append(
                    'detach'))):
            setattr(tested, name, value)
        getattr(tested, _NAME)()
        return told

    def test_order(self):
        self.assertEqual(
            ['attach', 'kept', 'backup, force=True', 'later', 'detach',
             'loss', 'import', 'attach', 'detach'], self.run_it('1', '1'))

    def test_other_files(self):
        self.assertRaises(AssertionError, self.run_it, '1', '2')

    def test_its_project_has_the_network(self):
        with mock.patch.object(manager.ScenarioTest, 'get_tenant_network'
                               ) as asked:
            self.TESTED.get_tenant_network()
        asked.assert_called_once_with('project_admin')
