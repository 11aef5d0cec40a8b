# SPDX-License-Identifier: Apache-2.0

"""Records lost as well: rebuilt from real storages, planned and imported."""

import json
import os
import pathlib
import shutil
import signal
import tempfile
from unittest import mock

import psutil
import requests

from backup_recovery import books
from backup_recovery import clouds
from backup_stores import filesystem
from benchmarks import chains
from local_cloud import backups
from local_cloud.machine import daemons
from local_cloud.services import swift
from reference_drivers.contract import base
from reference_drivers.contract import environment
from tests import cloud_cases
from tests import leftovers
from tests import records_cases
from tests.functional import test_driver_programs
from tests.functional import test_local_cloud_ceph
from tests.functional import test_records

_MIB = 1 << 20


class ScanBase(test_records.RecordsCase):
    @classmethod
    def make(cls):
        with mock.patch.dict(os.environ, cls.local.environment):
            cls.cloud = clouds.Cloud()
        cls.make_backups()

    @classmethod
    def make_backups(cls):
        """Make copies of a chain, in three projects."""
        super().make()

    def scan(self, status=0):
        return self.program('scan', self.records, '--config-file',
                            self.state.config('cinder'), status=status)

    @classmethod
    def made(cls, kind, project, **values):
        """Make a volume, snapshot or backup by a project; returns its id."""
        session = cls.cloud.session(project)
        made = session.request('POST', f'/{kind}s', json={kind: values})
        return cls.ended(session, kind, made[kind]['id'])

    @staticmethod
    def ended(session, kind, resource):
        """Wait until a resource is available; returns its id."""
        found = {}

        def ended():
            found.update(session.request('GET', f'/{kind}s/{resource}')[kind])
            return found['status'] in ('available', 'error')

        cloud_cases.until(ended, f'{kind} {resource}')
        if found['status'] != 'available':
            raise AssertionError(found)
        return resource

    def restored(self, backup):
        """Restore a backup by its project; returns the file of the volume."""
        session = self.cloud.session(self.owners[backup])
        volume = session.request('POST', f'/backups/{backup}/restore', json={
            'restore': {}})['restore']['volume_id']
        return self.path(self.ended(session, 'volume', volume))

    @classmethod
    def path(cls, volume):
        """The file that is a volume."""
        return cls.state.data / 'volumes' / f'volume-{volume}'

    def assert_same(self, restored, original, changes=()):
        """Compare two volumes, the second one with some changes."""
        with open(restored, 'rb') as one, open(original, 'rb') as other:
            for number in range(1024):
                wanted = dict(changes).get(number, other.read(_MIB))
                other.seek((number + 1) * _MIB)
                if one.read(_MIB) != wanted:
                    self.fail(f'MiB {number} of {restored} differs')


class ScanTest(ScanBase):
    """A directory, with what deletions and interruptions have left in it."""

    @classmethod
    def make_backups(cls):
        super().make_backups()
        for backup, owner in cls.owners.items():
            # As Cinder would have made it of a volume of this project.
            metadata = cls.metadata(backup)
            metadata.write_text(metadata.read_text().replace(
                cls.projects[0], owner))
        cls.volume = cls.path(cls.chain.volume)

    @classmethod
    def metadata(cls, backup):
        """The file with the metadata of a backup."""
        found, = cls.storage.glob(f'*/*/{backup}/*_metadata')
        return found

    def plant(self, count):
        """Plant what is left of so many backups, of each class.

        :returns: the class by the id of the backup
        """
        planted = {}
        kinds = list(leftovers.CLASSES)
        while len(planted) < count:
            chain = chains.Chain.new()
            self.copies.copy_files(chain)
            for backup in (chain.full, chain.incremental):
                kind = kinds[len(planted) % len(kinds)]
                metadata = self.metadata(backup)
                self.addCleanup(shutil.rmtree, metadata.parent)
                leftovers.leave(
                    filesystem.Directory(str(self.storage)),
                    str(metadata.parent.relative_to(self.storage)),
                    metadata.name.removesuffix('_metadata'), kind)
                planted[backup] = leftovers.CLASSES[kind]
        return planted

    def test_all_lost(self):
        """Each complete backup comes back, and none of 100 left-overs."""
        planted = self.plant(100)
        for place in ('README', 'photos/cat.jpg'):
            path = self.storage / place
            path.parent.mkdir(exist_ok=True)
            path.write_text('not of a backup')
            self.addCleanup(path.unlink)
        self.lose()
        found = self.scan(status=1)
        self.assertEqual(len(self.owners), found['classes']['complete'])
        self.assertEqual(planted, {
            one['id']: one['remains'] for one in found['remains']
            if one['id']})
        self.assertEqual({'README', 'cat.jpg'}, {
            os.path.basename(one['place']) for one in found['remains']
            if one['id'] is None})
        self.assertEqual(102, self.said.count('warning: '), self.said)
        found, plan = self.plan(status=1)
        self.assertEqual(self.owners, {
            item.id: item.project for item in plan.imports})
        for backup in planted:
            self.assertEqual(1, self.said.count(f'warning: backup {backup}'),
                             self.said)
        self.program('apply', self.plans[-1])
        self.assertEqual(self.expected(), self.rows())
        self.assert_same(self.restored(self.chain.incremental), self.volume)
        # Made before the second MiB was written.
        self.assert_same(self.restored(self.chain.full), self.volume,
                         {1: bytes(_MIB)})
        copy = self.chains[1].incremental
        self.assertNotEqual(self.projects[0], self.owners[copy])
        self.assert_same(self.restored(copy), self.volume)
        # All of it is known now.
        found, _ = self.plan(status=1)
        self.assertEqual({'exists': len(self.owners)}, {
            why: count for why, count in found['left'].items()
            if why not in leftovers.CLASSES.values()})

    def test_snapshot_and_names(self):
        """All that the storage knows comes back, and the rest is named."""
        project, volume = self.projects[0], self.chain.volume
        snapshot = self.made('snapshot', project, volume_id=volume)
        backup = self.made('backup', project, volume_id=volume,
                           name='it\'s "one"', description='of a snapshot',
                           snapshot_id=snapshot)
        self.addCleanup(shutil.rmtree, self.metadata(backup).parent)
        with self.database() as database:
            columns = ('display_name', 'display_description', 'size',
                       'volume_id', 'parent_id', 'container', 'object_count',
                       'service_metadata', 'project_id')

            def row():
                return database.execute(
                    f'SELECT {", ".join(columns)} FROM backups WHERE id = ?',
                    (backup,)).fetchone()

            before = row()
        self.lose()
        self.scan()
        self.plan()
        self.program('apply', self.plans[-1])
        with self.database() as database:
            self.assertEqual(before, row())
        self.owners = self.owners | {backup: project}
        self.assert_same(self.restored(backup), self.volume)
        lines = map(json.loads, self.records.read_text().splitlines())
        scanned, = (line['scan'] for line in lines
                    if line.get('id') == backup)
        self.assertEqual(['snapshot_id', 'metadata', 'data_timestamp'],
                         scanned['without'])

    def test_export_afterwards(self):
        """Of a scanned record an export makes a full one."""
        self.lose()
        self.scan()
        self.plan()
        self.program('apply', self.plans[-1])
        self.assertEqual(30, self.program('export', self.records)['exported'])
        self.assertFalse(any(one.scanned for one in books.Book(
            self.records).load().records.values()))

    def test_file_exists(self):
        """It may have better records."""
        self.records.write_text('precious')
        self.assertIsNone(self.scan(status=3))
        self.assertIn('exists; move it away', self.said)
        self.assertEqual('precious', self.records.read_text())


class SwiftTest(ScanBase):
    """Backups of two projects, each in an account of its own."""

    backend = 'swift'

    @classmethod
    def make_backups(cls):
        cls.url = backups.cinder_options(cls.state)['backup_swift_url']
        cls.volumes = {}
        for project in cls.projects[:2]:
            volume = cls.made('volume', project, size=1)
            for number in range(2):
                with open(cls.path(volume), 'r+b') as stream:
                    stream.seek(number * 100 * _MIB)
                    stream.write(os.urandom(_MIB))
                backup = cls.made('backup', project, volume_id=volume,
                                  incremental=bool(number))
                cls.owners[backup] = project
                cls.volumes[backup] = volume

    def request(self, method, project, path, **arguments):
        """Send a request to the account of a project."""
        answer = requests.request(
            method, f'{self.url}{project}/{path}', timeout=60, headers={
                'X-Auth-Token': self.cloud.session(project).token},
            **arguments)
        answer.raise_for_status()
        return answer

    def objects(self, project):
        """The names of the objects of a project's backups."""
        return self.request('GET', project, 'volumebackups').text.split()

    def test_all_lost(self):
        """The accounts of all projects, and containers of other users."""
        project = self.projects[1]
        volume = next(self.volumes[backup] for backup, owner
                      in self.owners.items() if owner == project)
        before = set(self.objects(project))

        def clean():
            for name in set(self.objects(project)) - before:
                self.request('DELETE', project, f'volumebackups/{name}')

        self.addCleanup(clean)
        # Not the class's: an export of another test would name them as lost.
        remains = {self.made('backup', project, volume_id=volume): kind
                   for kind in ('unfinished', 'deleted')}
        names = self.objects(project)
        for backup, kind in remains.items():
            own = [name for name in names if backup in name]
            lost = (own[:9] if kind == 'deleted' else
                    [name for name in own if not name[-1].isdigit()])
            for name in lost:
                self.request('DELETE', project, f'volumebackups/{name}')
        self.request('PUT', project, 'volumebackups/photos/cat.jpg',
                     data='not of a backup')
        self.lose()
        found = self.scan(status=1)
        self.assertEqual(remains | {None: 'foreign'}, {
            one['id']: one['remains'] for one in found['remains']})
        self.assertEqual(len(self.owners), found['classes']['complete'])
        self.assertIn('has no role in it', self.said)
        # Where the catalogue alone knows the address.
        config = self.temporary / 'cinder.conf'
        config.write_text(''.join(
            line for line in self.state.config('cinder').read_text(
                ).splitlines(keepends=True)
            if not line.startswith('backup_swift_url')))
        self.assertEqual(found['classes'], self.program(
            'scan', self.temporary / 'other', '--config-file', config,
            status=1)['classes'])
        _, plan = self.plan(status=1)
        self.assertEqual(self.owners, {
            item.id: item.project for item in plan.imports})
        self.program('apply', self.plans[-1])
        self.assertEqual(self.owners, {
            backup: row[0] for backup, row in self.rows().items()
            if row[-1] == 'available'})
        for backup, volume in self.volumes.items():
            changes = {} if self.rows()[backup][1] else {100: bytes(_MIB)}
            self.assert_same(self.restored(backup), self.path(volume),
                             changes)

    def test_drill(self):
        """Each project's data is read in its account, with its token."""
        self.program('export', self.records)
        newest = {self.volumes[backup]: backup for backup in self.owners}
        found = self.program(
            'drill', self.records, self.temporary / 'drill', '--config-file',
            self.state.config('cinder'), *(
                word for backup in newest.values()
                for word in ('--backup', backup)))
        self.assertEqual({'proved': 2, 'imported': 2}, found['states'])

    def test_salvage(self):
        """In the account of a project that is not the administrator's."""
        self.program('export', self.records)
        backup, volume = next(
            (one, volume) for one, volume in self.volumes.items()
            if self.owners[one] == self.projects[1] and self.rows()[one][1])
        found = self.program(
            'salvage', backup, self.temporary / 'salvaged', '--records',
            self.records, '--config-file', self.state.config('cinder'))
        self.assertEqual([], found['lost'])
        self.assert_same(self.temporary / 'salvaged', self.path(volume))

    def test_interrupted(self):
        """Also while the storage does not answer; nothing is written."""
        process = daemons.alive(self.state, swift.Swift.name)
        ports = {self.state.record['ports'][name]
                 for name in swift.Swift(self.state).ports}
        daemons.suspend(process)
        self.addCleanup(process.resume)
        scan = self.start('scan', self.records, '--config-file',
                          self.state.config('cinder'),
                          program=test_records.PROGRAM)
        running = psutil.Process(scan.pid)

        def waits():
            return scan.poll() is not None or any(
                one.raddr and one.raddr.port in ports
                for one in running.net_connections('tcp'))

        cloud_cases.until(waits, 'a connection to Swift')
        scan.send_signal(signal.SIGINT)
        self.assertEqual(2, scan.wait(), self.output)
        self.assertNotIn('Traceback', self.output)
        self.assertEqual([], list(self.temporary.glob('records*')))


class CephTest(ScanBase):
    """Backups of two projects in one pool.

    ``test_ceph_scan`` has what is left there of others.
    """

    backend = 'ceph'

    @classmethod
    def setUpClass(cls):
        test_local_cloud_ceph.need_ceph()
        super().setUpClass()

    @classmethod
    def make_backups(cls):
        cls.parents = {}
        for project in cls.projects[:2]:
            volume = cls.made('volume', project, size=1)
            full = cls.made('backup', project, volume_id=volume)
            second = cls.made('backup', project, volume_id=volume,
                              incremental=True)
            cls.owners |= dict.fromkeys((full, second), project)
            cls.parents |= {full: None, second: full}

    def test_all_lost(self):
        """Owners and parents are right, and a restore finds its data."""
        self.lose()
        self.assertEqual({'complete': 4}, self.scan()['classes'])
        self.plan()
        self.program('apply', self.plans[-1])
        self.assertEqual({
            backup: (owner, self.parents[backup], 'available')
            for backup, owner in self.owners.items()}, self.rows())
        found = self.program('restore', self.plans[-1])
        self.assertEqual((2, {}), (len(found['restored']), found['failed']))


class DirectoryTest(test_driver_programs.ProgramCase):
    """A directory without a cloud, of Cinder's own driver as well."""

    module = 'backup_recovery.main'

    def imported(self, driver):
        """Scan the backups of a driver; import them, and restore the last.

        :returns: the drivers' part of each record
        """
        cinder = environment.Environment(driver, {
            'backup_file_size': 131072, 'backup_sha_block_size_bytes': 32768,
            'backup_enable_progress_timer': False})
        with cinder:
            volume = cinder.create_volume()
            made = []
            for seed in (1, 2):
                content = base.noise(300000, seed)
                cinder.write_volume(volume.id, content)
                made.append(cinder.create_backup(volume, *made))
            path = self.configure(driver)
            with open(path, 'a') as stream:
                stream.write(f'[DEFAULT]\nbackup_posix_path = '
                             f'{cinder.directory}/backup\n')
            file = pathlib.Path(cinder.directory) / 'records'
            done = self.run_program('scan', '--config-file', path, str(file))
            self.assertEqual((0, ''), (done.returncode, done.stderr))
            self.assertIn('2 complete backups in', done.stdout)
            book = books.Book(file).load()
            self.assertEqual(([], []), (book.problems, book.remains))
            with book.reader() as read:
                found = {one.id: read(book.records[one.id]) for one in made}
            for one in made:
                cinder.lose_row(one.id)
            for one in found.values():
                imported = cinder.import_record({
                    'backup_service': one.backup_service,
                    'backup_url': one.backup_url})
                self.assertEqual('available', imported.status)
            self.assertTrue(content == cinder.restore(made[-1].id))
            return [one.fields['driver_info'] for one in found.values()]

    def test_drivers(self):
        self.assertEqual([{}, {}], self.imported(
            'cinder.backup.drivers.posix.PosixBackupDriver'))
        self.assertNotIn({}, self.imported(records_cases.SERVICE))


class MistakesTest(test_driver_programs.ProgramCase):
    """Each is one line, and nothing is written."""

    module = 'backup_recovery.main'

    def refused(self, reason, *arguments):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'records')
            done = self.run_program('scan', path, *arguments)
            self.assertEqual([], os.listdir(directory))
        self.assertEqual((3, '', 1), (done.returncode, done.stdout,
                                      done.stderr.count('\n')), done.stderr)
        self.assertTrue(done.stderr.startswith('error: '), done.stderr)
        self.assertIn(reason, done.stderr)

    def test_nothing(self):
        """An empty storage is most likely another one."""
        path = self.configure(records_cases.SERVICE)
        with tempfile.TemporaryDirectory() as directory:
            with open(path, 'a') as stream:
                stream.write(f'[DEFAULT]\nbackup_posix_path = {directory}\n')
            done = self.run_program('scan', '--config-file', path,
                                    f'{path}.records')
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn('warning: nothing is on the storage', done.stderr)

    def test_configuration(self):
        for driver, reason in (
                ('cinder.backup.driver.BackupDriver',
                 'cannot be scanned'),
                ('cinder.backup.drivers.ceph.CephBackupDriver',
                 'has no modules rados and rbd'),
                ('nowhere.Driver', 'is not the class of an installed'),
                # Its directory does not exist.
                (records_cases.SERVICE, 'is not there')):
            self.refused(reason, '--config-file', self.configure(driver))
        self.refused('cannot be read', '--config-file', '/nonexistent')
