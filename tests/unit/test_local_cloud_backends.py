# SPDX-License-Identifier: Apache-2.0

"""The backends of the local cloud."""

import configparser
import dataclasses
import fcntl
import importlib
import json
import os
import subprocess
import sys
import tempfile
from unittest import mock

import psutil
import testtools

from local_cloud import backups
from local_cloud import cloud
from local_cloud import exceptions
from local_cloud import options
from local_cloud import requirements
from local_cloud import settings
from local_cloud import sites
from local_cloud import tempest_conf
from local_cloud import volumes
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons
from local_cloud.servers import ceph_packages
from local_cloud.services import ceph
from local_cloud.services import keystone
from local_cloud.services import nfs
from local_cloud.services import registry
from local_cloud.services import s3
from tests import cloud_cases

#: Of a cloud's record: what the options of some drivers are made of.
_STORES = {'ports': {'swift': 5, 'nfs': 6, 's3': 7}, 'passwords': {'s3': 'x'}}


class BackendsTest(cloud_cases.StateCase):

    def _with(self, **changes):
        backend = dataclasses.replace(backups.BACKENDS['default'], **changes)
        patch = mock.patch.dict(backups.BACKENDS, {'other': backend})
        patch.start()
        self.addCleanup(patch.stop)

    def test_every_driver_is_a_class_that_exists(self):
        for name, backend in backups.BACKENDS.items():
            module, _, driver = backend.driver.rpartition('.')
            self.assertTrue(
                isinstance(getattr(importlib.import_module(module), driver),
                           type), name)

    def test_services_start_before_cinder(self):
        self.state.record['backup'] = 'swift'
        self.assertEqual(['keystone', 'glance', 'swift', 'cinder'],
                         [service.name for service in
                          registry.of(self.state)])
        self.assertEqual(['swift'], registry.in_catalogue(self.state))

    def test_s3_needs_a_cluster(self):
        """But its volumes are files, and tests stop the gateway."""
        self.state.record['backup'] = 's3'
        self.assertEqual(['keystone', 'glance', 's3', 'ceph', 'cinder'],
                         [service.name for service in
                          registry.of(self.state)])
        self.assertEqual('sparse', backups.volume_backend(self.state).name)
        self.assertIn('kill s3', tempest_conf._store_switch(self.state)[
            'store_stop_command'])

    def test_keys_of_s3_are_no_words(self):
        """A report has a mark in place of each of their values."""
        self.state.record.update(_STORES)
        keys = {s3.S3(self.state).keys(site)[0]
                for site in (sites.FIRST, sites.SECOND)}
        self.assertEqual(2, len(keys))
        for key in keys:
            self.assertRegex(key, '^[0-9a-f]{20}$')

    def test_record_that_does_not_say_yet(self):
        self.assertEqual(['keystone', 'glance', 'cinder'],
                         [service.name for service in
                          registry.of(self.state)])

    def test_options_name_the_driver(self):
        self.state.record.update(backup='in-tree-swift', ports={'swift': 5})
        self.assertEqual({
            'backup_driver': 'cinder.backup.drivers.swift.SwiftBackupDriver',
            'backup_swift_url': 'http://127.0.0.1:5/v1/AUTH_',
            'backup_swift_auth': 'per_user',
            'backup_swift_object_size': settings.CHUNK,
        }, backups.cinder_options(self.state))

    def test_driver_of_the_second_backup_service(self):
        self.state.record.update(_STORES)
        for backup, backend in backups.BACKENDS.items():
            self.state.record.update(backup=backup, second_backup=False)
            self.assertEqual('', backups.second_driver(self.state))
            self.state.record['second_backup'] = True
            driver = backups.second_driver(self.state)
            self.assertNotEqual(backend.driver, driver)
            self.assertIn(driver, (one.driver for one in
                                   backups.BACKENDS.values()))
            self.assertEqual('', backups.second_driver(self.state,
                                                       sites.SECOND))
            if 'ceph' not in backup:
                self.assertIn('backup_posix_path',
                              backups.cinder_options(self.state))

    def test_options_of_the_second_site(self):
        self.state.record.update(_STORES)
        for backup in ('default', 'swift', 's3', 'nfs'):
            self.state.record['backup'] = backup
            first = backups.cinder_options(self.state)
            for store, differ in (('shared', False), ('own', True)):
                self.state.record['second_store'] = store
                second = backups.cinder_options(self.state, sites.SECOND)
                self.assertEqual(differ, first != second)
                self.assertEqual(
                    differ, any(name.startswith('second_backup_store_')
                                for name in backups.tempest_options(
                                    self.state)))
                self.assertEqual(differ, backups.tempest_features(
                    self.state)['second_store'])
                self.assertEqual(first, backups.cinder_options(self.state))

    def test_whose_storage_the_second_site_has(self):
        for name in backups.BACKENDS:
            best = 'shared' if name.endswith('ceph') else 'own'
            self.assertEqual(best, backups.second_store(name))
            self.assertEqual('shared', backups.second_store(name, 'shared'))
        self.assertRaises(exceptions.LocalCloudError, backups.second_store,
                          'ceph', 'own')

    def test_no_address_without_a_port(self):
        keystone = registry.of(self.state)[0]
        self.assertEqual('', keystone.address())
        self.state.record['ports']['keystone'] = 5
        self.assertEqual('http://127.0.0.1:5', keystone.address())

    def test_address_by_another_protocol(self):
        service = nfs.NFS(self.state)
        self.assertEqual('', service.address())
        self.state.record['ports']['nfs'] = 5
        self.assertEqual('nfs://127.0.0.1:5/backups', service.address())

    def test_extra_is_named_with_what_is_missing(self):
        self._with(modules=('no_such_module',), extra='store')
        error = self.assertRaises(exceptions.MissingPackage,
                                  requirements.check,
                                  options.Options('other'))
        self.assertEqual(
            'not installed here: no_such_module; run "pip install '
            "'.[local-cloud,store]'\" in a clone of this project", str(error))

    def test_what_else_the_machine_lacks(self):
        self._with(missing=lambda: 'Install the store.')
        error = self.assertRaises(exceptions.MissingPackage,
                                  requirements.check,
                                  options.Options('other'))
        self.assertEqual('Install the store.', str(error))
        requirements.check(options.Options())

    def _services(self):
        return [service.name for service in registry.of(self.state)]

    def test_ceph_is_started_once_for_backups_and_volumes(self):
        self.state.record['backup'] = 'ceph'
        self.assertEqual(['keystone', 'glance', 'ceph', 'cinder'],
                         self._services())
        self.assertEqual('rbd', backups.volume_backend(self.state).name)
        self.assertEqual([], registry.in_catalogue(self.state))

    def test_volumes_beside_the_backend(self):
        self.state.record.update(backup='ceph', volumes='files')
        self.assertEqual('sparse', backups.volume_backend(self.state).name)
        self.assertIn('ceph', self._services())
        self.state.record.update(backup='swift', volumes='rbd')
        self.assertEqual(['keystone', 'glance', 'swift', 'ceph', 'cinder'],
                         self._services())

    def test_who_makes_incremental_backups(self):
        for backup, source, makes in (
                ('ceph', 'rbd', True), ('ceph', 'files', False),
                ('ceph', 'plain-files', False),
                ('swift', 'files', True), ('swift', 'rbd', True),
                ('default', 'plain-files', True)):
            self.state.record.update(backup=backup, volumes=source)
            self.assertEqual(makes, backups.incremental(self.state))

    def test_whose_drivers_verify_an_import(self):
        for name, backend in backups.BACKENDS.items():
            self.state.record.update(_STORES, backup=name)
            own = backend.driver.startswith('reference_drivers.')
            self.assertEqual(own, bool(
                backups.cinder_sections(self.state)), name)
            features = backups.tempest_features(self.state)
            self.assertEqual(own, features['import_verify'])
            # The tests expect what the driver was told.
            self.assertEqual(
                backups.cinder_sections(self.state).get(
                    'backup_import_verify', {}).get('level'),
                features.get('import_verify_level'))

    def test_whose_storage_is_made_to_hang(self):
        """The driver waits less than the test does, and than by default."""
        for name, backend in backups.BACKENDS.items():
            self.state.record['backup'] = name
            commands = tempest_conf._store_pause(self.state)
            self.assertEqual(name.endswith(('swift', 's3', 'ceph')),
                             bool(commands), name)
            if commands:
                self.assertEqual(
                    ['pause', name.removeprefix('in-tree-')],
                    commands['store_pause_command'].split()[-2:])
            waits = backups.cinder_sections(self.state).get(
                'backup_import_verify', {}).get('timeout')
            self.assertEqual(
                bool(commands) and backend.verifies, bool(waits), name)
            if waits:
                self.assertLess(waits, 60)
                self.assertLess(waits, commands['store_hang_timeout'])

    def test_how_the_backups_are_reached_without_cinder(self):
        self.state.record.update(_STORES)
        for name, store in (('default', 'filesystem'), ('swift', 'swift'),
                            ('nfs', 'filesystem'), ('ceph', 'rbd'),
                            ('s3', 's3'), ('in-tree-posix', 'filesystem')):
            self.state.record['backup'] = name
            options = backups.tempest_options(self.state)
            self.assertEqual(store, options['backup_store'])
        self.assertEqual(
            backups.cinder_options(self.state)['backup_posix_path'],
            options['backup_store_path'])

    def test_who_damages_backups_in_ceph_gets_the_bindings(self):
        self.state.record.update(backup='ceph', volumes='files')
        self.assertIn(str(ceph.Ceph(self.state).bindings),
                      backups.client_variables(self.state)['PYTHONPATH'])
        self.state.record['backup'] = 'default'
        self.assertEqual({}, backups.client_variables(self.state))

    def test_only_clients_of_rbd_volumes_get_the_bindings(self):
        self.state.record.update(backup='ceph', volumes='rbd')
        backend = backups.volume_backend(self.state)
        own = str(self.state.root / 'data' / 'ceph-bindings')
        for before, after in (('', own), (own, own),
                              ('/other', f'{own}:/other')):
            with mock.patch.dict(os.environ, {'PYTHONPATH': before}):
                self.assertEqual({'PYTHONPATH': after},
                                 backend.client_variables(self.state))
        files = volumes.BACKENDS['files']
        self.assertEqual({}, files.client_variables(self.state))
        self.assertEqual({}, files.tempest_options(self.state))

    def test_machine_without_ceph(self):
        lacking = dataclasses.replace(ceph_packages.SOFTWARE,
                                      programs=('no-such',))
        with mock.patch.object(ceph_packages, 'SOFTWARE', lacking):
            for arguments in (('ceph',), ('ceph', 'files'),
                              ('default', 'rbd')):
                error = self.assertRaises(
                    exceptions.MissingPackage, requirements.check,
                    options.Options(*arguments))
                self.assertIn('apt-get install', str(error))
            requirements.check(options.Options())

    def test_key_manager_is_a_service_and_an_extra(self):
        self.state.record['key_manager'] = 'barbican'
        self.assertEqual(['keystone', 'glance', 'barbican', 'cinder'],
                         self._services())
        self.assertEqual(['barbican'], registry.in_catalogue(self.state))
        self.state.record['key_manager'] = 'barbican-each'
        self.assertEqual(['keystone', 'glance', 'barbican', 'cinder'],
                         self._services())
        self.state.record['second_region'] = True
        self.assertEqual(['keystone', 'glance', 'barbican', 'barbican-two',
                          'cinder', 'cinder-two'], self._services())
        self.assertEqual(['barbican'], registry.in_catalogue(self.state))
        self.state.record['second_region'] = False
        self.state.record['key_manager'] = 'fixed'
        self.assertEqual(['keystone', 'glance', 'cinder'], self._services())
        with mock.patch('importlib.util.find_spec', lambda name: (
                None if name == 'barbican' else name)):
            for kind in ('barbican', 'barbican-each'):
                error = self.assertRaises(
                    exceptions.MissingPackage, requirements.check,
                    options.Options(key_manager=kind))
                self.assertIn('[local-cloud,barbican]', str(error))
            requirements.check(options.Options(key_manager='fixed'))

    def test_bindings_for_another_python(self):
        with (mock.patch.object(ceph_packages, 'missing', return_value=''),
              mock.patch('importlib.machinery.EXTENSION_SUFFIXES',
                         ['.cpython-27.so'])):
            self.assertIn('make the virtualenv with /usr/bin/python3',
                          ceph_packages.missing_for_cinder())


class KeystoneTest(testtools.TestCase):

    def test_all_keys_are_the_clouds_own(self):
        """Not below /etc, which is the machine's and wants root."""
        with tempfile.TemporaryDirectory() as directory:
            state = cloud_state.State(directory)
            state.create()
            state.record['debug'] = False
            keystone.Keystone(state).configure()
            parser = configparser.RawConfigParser()
            parser.read(state.config('keystone'))
        for section in ('fernet_tokens', 'fernet_receipts', 'credential'):
            self.assertIn(directory, parser[section]['key_repository'])


class RecordedTest(testtools.TestCase):

    def test_zombie_with_a_thread_is_not_gone(self):
        """It has its port and its locks still."""
        for threads, gone in ((2, False), (1, True)):
            process = mock.Mock()
            process.pid = os.getpid()
            process.status.return_value = psutil.STATUS_ZOMBIE
            process.num_threads.return_value = threads
            with mock.patch.object(psutil, 'Process', return_value=process):
                found = daemons.recorded(daemons.entry_of(process.pid))
            self.assertEqual(gone, found is None)

    def test_clock_that_is_set(self):
        """The processes that ran before are still the same."""
        entry = daemons.entry_of(os.getpid())
        with mock.patch.object(psutil._pslinux, 'boot_time',
                               return_value=psutil.boot_time() + 3):
            self.assertEqual(os.getpid(), daemons.recorded(entry).pid)

    def test_pid_of_another(self):
        """Of a process started at another time, or before a reboot."""
        for change in ({'started': 1}, {'started': None}, {'boot': 'other'}):
            entry = {**daemons.entry_of(os.getpid()), **change}
            self.assertIsNone(daemons.recorded(entry))


class RemainsTest(cloud_cases.StateCase):

    def test_a_killed_cluster_gives_its_port_back(self):
        """Before the next start binds it."""
        state = self.state
        state.record['backup'] = 'ceph'
        monitor = subprocess.Popen(
            [sys.executable, '-c', 'import socket, time\n'
             'listener = socket.create_server(("127.0.0.1", 0))\n'
             'print(listener.getsockname()[1], flush=True)\n'
             'time.sleep(60)'], stdout=subprocess.PIPE, text=True)
        self.addCleanup(monitor.stdout.close)
        self.addCleanup(monitor.wait)
        self.addCleanup(monitor.kill)
        service = ceph.Ceph(state)
        state.record['ports'][service.name] = port = int(
            monitor.stdout.readline())
        directory = service.cluster().directory
        directory.mkdir(parents=True)
        (directory / 'processes.json').write_text(
            json.dumps({'mon': daemons.entry_of(monitor.pid)}))
        sockets = {}
        try:
            cloud.Cloud(state)._listen(sockets)
            self.assertEqual(port, sockets[service.name].getsockname()[1])
        finally:
            for one in sockets.values():
                one.close()


class LockTest(testtools.TestCase):

    def test_ready_as_long_as_it_is_locked(self):
        with tempfile.NamedTemporaryFile() as file:
            self.assertFalse(cloud_state.is_locked(file.name))
            fcntl.flock(file, fcntl.LOCK_EX)
            self.assertTrue(cloud_state.is_locked(file.name))
        self.assertFalse(cloud_state.is_locked(file.name))
