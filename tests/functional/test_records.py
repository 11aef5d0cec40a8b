# SPDX-License-Identifier: Apache-2.0

"""Records of a real cloud: exported, lost, planned, imported and restored.

The backups are copies of one chain, as the benchmark of imports makes them, in
three projects.
"""

import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
import uuid

from backup_recovery import books
from backup_recovery import journals
from backup_recovery import plans
from benchmarks import chains
from local_cloud import backups
from local_cloud import fixture
from local_cloud import identity
from tests import cloud_cases

PROGRAM = (sys.executable, '-m', 'backup_recovery.main')
#: All that an import changes.
_TABLES = ('backups', 'backup_metadata', 'quotas', 'quota_usages',
           'reservations')


class RecordsCase(cloud_cases.OneCloud, cloud_cases.CloudCase):
    """One cloud; its tables of backups are the same before each test."""

    backend = 'default'
    #: How many chains there are, and the projects but for the first.
    number = 15
    names = 'red', 'blue'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud(cls.backend)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)
        cls.state = cls.local.state
        cls.session = identity.Session(cls.state)
        cls.projects = [cls.session.project_id,
                        *map(cls.add_project, cls.names)]
        #: The project of each backup.
        cls.owners = {}
        cls.make()
        with cls.database() as database:
            cls.tables = {name: database.execute(
                f'SELECT * FROM {name}').fetchall() for name in _TABLES}

    @classmethod
    def make(cls):
        """Make the backups."""
        cls.storage = backups.directory(cls.state)
        chain, _ = chains.make(cls.session, cls.state.data / 'volumes')
        copies = chains.Copies(chain, cls.state.database('cinder'),
                               cls.storage)
        copies.add(cls.number - 1)
        with cls.database() as database:
            for number, chain in enumerate(copies.chains):
                owner = cls.projects[number % len(cls.projects)]
                for backup in (chain.full, chain.incremental):
                    cls.owners[backup] = owner
                    database.execute('UPDATE backups SET project_id = ? '
                                     'WHERE id = ?', (owner, backup))
        cls.chain = copies.chains[0]
        cls.chains = copies.chains
        cls.copies = copies

    @classmethod
    def add_project(cls, name):
        """Make a project in which the administrator has a role."""
        project = cls.session.request('POST', 'keystone', '/projects', json={
            'project': {'name': name, 'domain_id': 'default'}})['project']
        cls.session.request('PUT', 'keystone', cls.role(project['id']))
        return project['id']

    @classmethod
    def role(cls, project):
        """The path of the administrator's role in a project."""
        user, = cls.session.get('keystone', '/users?name=admin')['users']
        role, = cls.session.get('keystone', '/roles?name=admin')['roles']
        return f'/projects/{project}/users/{user["id"]}/roles/{role["id"]}'

    @classmethod
    @contextlib.contextmanager
    def database(cls):
        """Cinder's database, for a transaction of its own."""
        with contextlib.closing(sqlite3.connect(
                cls.state.database('cinder'), timeout=60,
                isolation_level=None)) as database:
            database.execute('BEGIN IMMEDIATE')
            yield database
            database.execute('COMMIT')

    def setUp(self):
        super().setUp()
        self.environment |= self.local.environment
        self.records = self.temporary / 'records'
        self.plans = []
        self.set_tables(self.tables)

    def set_tables(self, tables):
        with self.database() as database:
            for name in _TABLES:
                database.execute(f'DELETE FROM {name}')
                for row in tables.get(name, ()):
                    database.execute(f'INSERT INTO {name} VALUES '
                                     f'({", ".join("?" * len(row))})', row)

    def lose(self):
        """Lose all backups, and the quotas, as with the database."""
        self.set_tables({})

    def hide(self, backup):
        """Move the data of a backup away.

        :returns: moves it back
        """
        container, = self.storage.glob(f'*/*/{backup}')
        away = self.temporary / 'away'

        def show():
            if away.exists():
                away.rename(container)

        self.addCleanup(show)
        container.rename(away)
        return show

    def program(self, *arguments, status=0):
        """Run the program; returns the facts that it prints."""
        done = self.call(*arguments, '-f', 'json', program=PROGRAM)
        self.assertEqual(status, done.returncode, done.stderr)
        self.assertNotIn('Traceback', done.stderr)
        self.said = done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def plan(self, *arguments, status=0):
        """Make a plan of what was lost, and read it."""
        path = self.temporary / f'plan-{len(self.plans)}'
        self.plans.append(path)
        found = self.program('plan', self.records, path, *arguments,
                             status=status)
        return found, plans.read(path)

    def rows(self):
        """The project, the parent and the status of each backup."""
        with self.database() as database:
            return {row[0]: row[1:] for row in database.execute(
                'SELECT id, project_id, parent_id, status FROM backups '
                'WHERE NOT deleted')}

    def limits(self):
        """The limit and the use of backups, by the project."""
        return {project: (found['limit'], found['in_use'], found['reserved'])
                for project in self.projects for found in [self.session.get(
                    'cinder', f'/os-quota-sets/{project}?usage=true')[
                    'quota_set']['backups']]}

    def imports(self):
        """The number of imports that Cinder has begun."""
        return (self.state.logs / 'cinder.log').read_text().count(
            'Import record started')

    def expected(self):
        return {backup: (self.owners[backup], parent, 'available')
                for chain in self.chains for backup, parent in (
                    (chain.full, None), (chain.incremental, chain.full))}


class RecordsTest(RecordsCase):
    def setUp(self):
        super().setUp()
        # Those of a test count in the quotas of the next one.
        self.addCleanup(self.delete_volumes)

    def delete_volumes(self):
        """Delete what was restored, whatever its status."""
        for volume in self.volumes():
            self.session.request('POST', 'cinder', f'/volumes/{volume}/action',
                                 json={'os-force_delete': {}})
        cloud_cases.until(lambda: not self.volumes(), 'no restored volume')

    def test_export(self):
        """All projects' backups; a damaged one does not stop the others."""
        found = self.program('export', self.records)
        self.assertEqual((30, 30), (found['records'], found['exported']))
        book = books.Book(self.records).load()
        self.assertEqual(self.owners, {
            one.id: one.facts.project_id for one in book.records.values()})
        # An export changes the row, but not what makes the record.
        self.assertEqual(0, self.program('export', self.records)['exported'])
        bad = self.chain.incremental
        self.hide(bad)
        found = self.program('export', '--everything', self.records, status=1)
        self.assertEqual([bad], list(found['failed']))
        self.assertEqual((30, 29), (found['records'], found['exported']))
        self.assertEqual(1, self.said.count('warning: '), self.said)
        self.lose()
        found = self.program('export', self.records)
        self.assertEqual((30, 0), (found['records'], found['exported']))
        self.assertEqual(set(self.owners), set(found['gone']))

    def test_export_is_for_administrators(self):
        """Another user gets the backups of one project only, from Cinder."""
        self.program('export', self.records)
        before = self.records.read_bytes()
        user = self.session.request('POST', 'keystone', '/users', json={
            'user': {'name': 'member', 'password': 'secret',
                     'domain_id': 'default'}})['user']['id']
        role, = self.session.get('keystone', '/roles?name=member')['roles']
        self.session.request(
            'PUT', 'keystone', f'/projects/{self.projects[0]}/users/{user}'
                               f'/roles/{role["id"]}')
        self.environment |= {'OS_USERNAME': 'member', 'OS_PASSWORD': 'secret'}
        self.assertIsNone(self.program('export', self.records, status=3))
        self.assertIn("not an administrator's", self.said)
        self.assertEqual(before, self.records.read_bytes())

    def test_application_credential(self):
        """It exports all, but cannot act in another project."""
        user, = self.session.get('keystone', '/users?name=admin')['users']
        made = self.session.request(
            'POST', 'keystone', f'/users/{user["id"]}/application_credentials',
            json={'application_credential': {'name': self.id()}})[
                'application_credential']
        for name in ('OS_USERNAME', 'OS_PASSWORD', 'OS_PROJECT_NAME',
                     'OS_USER_DOMAIN_NAME', 'OS_PROJECT_DOMAIN_NAME'):
            del self.environment[name]
        self.environment |= {
            'OS_AUTH_TYPE': 'v3applicationcredential',
            'OS_APPLICATION_CREDENTIAL_ID': made['id'],
            'OS_APPLICATION_CREDENTIAL_SECRET': made['secret']}
        self.assertEqual(30, self.program('export', self.records)['exported'])
        self.lose()
        self.assertIsNone(self.program(
            'plan', self.records, self.temporary / 'plan', status=3))
        self.assertIn('use a user and a password', self.said)

    def test_plan(self):
        """Backups that are there, that are lost, that cannot be imported."""
        self.program('export', self.records)
        found, _ = self.plan()
        self.assertEqual((0, {'exists': 30}), (found['import'],
                                               found['left']))
        self.lose()
        found, plan = self.plan()
        self.assertEqual(self.owners, {
            item.id: item.project for item in plan.imports})
        self.assertEqual({(one, 10, 10) for one in self.projects}, {
            (one['project'], one['imports'], one['gigabytes'])
            for one in found['projects']})
        gone, orphan = self.projects[1:]
        self.session.request('DELETE', 'keystone', self.role(orphan))
        self.addCleanup(self.session.request, 'PUT', 'keystone',
                        self.role(orphan))
        lines = self.records.read_text().splitlines(keepends=True)
        renamed = self.temporary / 'renamed'
        renamed.write_text(json.dumps({'projects': {gone: 'f' * 32}}))
        # A parent, and something that is not a record.
        number = next(number for number, line in enumerate(lines)
                      if self.chain.full in line)
        lines[number] = 'x\n'
        self.records.write_text(''.join(lines))
        found, plan = self.plan('--map', renamed, status=1)
        self.assertEqual(
            {'no-role': 10, 'no-project': 10, 'no-parent': 1}, found['left'])
        self.assertEqual(8, found['import'])
        # A line for each project, each backup and each line of the file.
        self.assertIn(f'--project {orphan} admin', self.said)
        self.assertIn(f'project {"f" * 32} does not exist', self.said)
        self.assertIn(f'{self.chain.incremental} builds on backup '
                      f'{self.chain.full}', self.said)
        self.assertIn(f'{self.records}:{number + 1}: neither', self.said)
        self.assertEqual(5, self.said.count('warning: '), self.said)

    def lost(self, **quotas):
        """Export all, lose all, and plan; returns the plan's file."""
        self.program('export', self.records)
        self.lose()
        for project, limit in quotas.items():
            self.session.request(
                'PUT', 'cinder', f'/os-quota-sets/{project}',
                json={'quota_set': {'backups': limit}})
        self.plan()
        return self.plans[-1]

    def test_killed(self):
        """Killed at any moments and run again, it ends in the same way."""
        plan = self.lost(**{self.projects[1]: 3})
        begun = self.imports()
        moments = sorted(random.sample(range(1, 29), 5))
        for moment in moments:
            process = self.start('apply', plan, program=PROGRAM)
            cloud_cases.until(lambda moment=moment, process=process:
                              len(self.rows()) >= moment or
                              process.poll() is not None, moments)
            process.kill()
            self.assertEqual(-signal.SIGKILL, process.wait(), self.output)
        # Quotas that a kill has left are put back by the next run.
        self.assertEqual(10, self.limits()[self.projects[1]][0])
        found = self.program('apply', plan)
        self.assertEqual((30, {}), (
            len(found['imported']) + len(found['existing']), found['failed']))
        self.assertEqual(self.expected(), self.rows(), moments)
        # Nothing twice: neither begun nor counted.
        self.assertEqual(30, self.imports() - begun)
        self.assertEqual(dict.fromkeys(self.projects, (10, 10, 0)),
                         self.limits())
        with self.database() as database:
            before = {name: database.execute(
                f'SELECT * FROM {name}').fetchall() for name in _TABLES}
        found = self.program('apply', plan)
        self.assertEqual((0, 30), (len(found['imported']),
                                   len(found['existing'])))
        with self.database() as database:
            self.assertEqual(before, {name: database.execute(
                f'SELECT * FROM {name}').fetchall() for name in _TABLES})

    def test_interrupted(self):
        """Ctrl-C leaves no import half way, and puts quotas back."""
        plan = self.lost(**{self.projects[1]: 1})
        process = self.start('apply', plan, program=PROGRAM)
        cloud_cases.until(lambda: len(self.rows()) >= 8 or
                          process.poll() is not None, 'eight rows')
        process.send_signal(signal.SIGINT)
        self.assertEqual(2, process.wait(), self.output)
        self.assertNotIn('Traceback', self.output)
        self.assertIn('left: interrupted', self.output)
        limit, used, _ = self.limits()[self.projects[1]]
        self.assertEqual(used, limit)
        self.assertLess(limit, 10)
        self.program('apply', plan)
        self.assertEqual(self.expected(), self.rows())

    def test_failures(self):
        """Each is named with what to do, and the others are imported."""
        plan = self.lost(**{self.projects[0]: 4})
        project = self.projects[2]
        self.session.request('DELETE', 'keystone', self.role(project))
        self.addCleanup(self.session.request, 'PUT', 'keystone',
                        self.role(project))
        broken = self.chain.full
        self.assertEqual(self.projects[0], self.owners[broken])
        show = self.hide(broken)
        found = self.program('apply', plan, status=1)
        self.assertEqual({project}, set(found['projects']))
        # One line for the project, one for the backup, one for its child, one
        # for the quota.
        self.assertIn('openstack role add', self.said)
        self.assertIn(f'{broken} is not imported: the import failed',
                      self.said)
        self.assertIn(f'its parent {broken} is not imported', self.said)
        self.assertEqual(4, self.said.count('warning: '), self.said)
        self.assertEqual(12, len(found['failed']))
        self.assertEqual(18, len(found['imported']))
        # The child was not imported.
        self.assertEqual((9, 9, 0), self.limits()[self.projects[0]])
        self.session.request('PUT', 'keystone', self.role(project))
        found = self.program('apply', plan, status=1)
        self.assertEqual({broken, self.chain.incremental},
                         set(found['failed']))
        show()
        found = self.program('apply', '--retry', plan)
        self.assertEqual((2, 28), (len(found['imported']),
                                   len(found['existing'])))
        self.assertEqual(self.expected(), self.rows())

    def test_service_that_died(self):
        """The row of its import stays in creating, and goes when told."""
        plan = self.lost()
        chain = self.chain.full, self.chain.incremental
        plan.write_text(''.join(
            line for line in plan.read_text().splitlines(keepends=True)
            if '"action"' not in line or json.loads(line)['id'] in chain))
        self.set_tables({'backups': [
            row for row in self.tables['backups']
            if chain[0] in row and chain[1] not in row]})
        with self.database() as database:
            # As Cinder makes it before it asks cinder-backup.
            database.execute(
                'UPDATE backups SET status = "creating", host = NULL, '
                'service = NULL, container = NULL, service_metadata = NULL, '
                'volume_id = ?', (str(uuid.UUID(int=0)),))
        found = self.program('apply', '--wait', '1', plan, status=1)
        self.assertIn('creating after 1 s', found['failed'][chain[0]])
        self.assertEqual({chain[0]}, set(self.rows()))
        found = self.program('apply', '--wait', '20', '--retry', plan)
        self.assertEqual(list(chain), found['imported'])
        self.assertEqual({one: self.expected()[one] for one in chain},
                         self.rows())

    def applied(self, count):
        """Import so many chains, and no others; returns the plan's file."""
        plan = self.lost()
        wanted = {backup for chain in self.chains[:count]
                  for backup in (chain.full, chain.incremental)}
        plan.write_text(''.join(
            line for line in plan.read_text().splitlines(keepends=True)
            if '"action"' not in line or json.loads(line)['id'] in wanted))
        self.program('apply', plan)
        return plan

    def volumes(self):
        """The project, the name and the status of each restored volume."""
        with self.database() as database:
            return {row[0]: row[1:] for row in database.execute(
                'SELECT id, project_id, display_name, status FROM volumes '
                'WHERE NOT deleted AND id != ?', (self.chain.volume,))}

    def content(self, volume):
        """The parts of a volume of 1 GiB that are not zeros."""
        found = {}
        path = self.state.data / 'volumes' / f'volume-{volume}'
        self.assertEqual(1 << 30, path.stat().st_size)
        with open(path, 'rb') as stream:
            at = 0
            while True:
                try:
                    at = os.lseek(stream.fileno(), at, os.SEEK_DATA)
                except OSError:
                    return found
                at -= at % 65536
                piece = os.pread(stream.fileno(), 65536, at)
                if any(piece):
                    found[at] = piece
                at += 65536

    def test_usage_that_was_lost(self):
        """A use that Cinder has not counted again needs quota as well."""
        self.program('apply', self.lost())
        project, lost = self.projects[0], self.chains[3].incremental
        for resource, limit in ('backups', 9), ('volumes', 5):
            with self.database() as database:
                database.execute('DELETE FROM quota_usages')
                database.execute('DELETE FROM backups WHERE id = ?', (lost,))
            self.session.request('PUT', 'cinder', f'/os-quota-sets/{project}',
                                 json={'quota_set': {resource: limit}})
            self.plan()
            self.assertEqual([lost], self.program(
                'apply', self.plans[-1])['imported'])
        # Beside the volume that was backed up.
        found = self.program('restore', '--project', project, self.plans[-1])
        self.assertEqual((5, {}), (len(found['restored']), found['failed']))

    def test_restore_killed(self):
        """Killed at any moments and run again: each backup on one volume.

        The first time it is a Ctrl-C.
        """
        plan = self.applied(6)
        project = self.projects[1]
        self.session.request('PUT', 'cinder', f'/os-quota-sets/{project}',
                             json={'quota_set': {'volumes': 2}})
        before = self.volumes()

        def made():
            return len(self.volumes()) - len(before)

        moments = []
        while made() < 12:
            moments.append(min(made() + random.randint(1, 3), 12))
            process = self.start('restore', '--all', plan, program=PROGRAM)
            cloud_cases.until(lambda process=process: made() >= moments[-1] or
                              process.poll() is not None, moments)
            number = signal.SIGKILL if moments[1:] else signal.SIGINT
            process.send_signal(number)
            self.assertEqual(2 if number == signal.SIGINT else -number,
                             process.wait(), self.output)
        self.assertNotIn('Traceback', self.output)
        found = self.program('restore', '--all', plan)
        volumes = {**found['restored'], **found['existing']}
        self.assertEqual((12, {}), (len(volumes), found['failed']), moments)
        self.assertEqual(
            {volume: (self.owners[backup], 'benchmark', 'available')
             for backup, volume in volumes.items()},
            {volume: row for volume, row in self.volumes().items()
             if volume not in before}, moments)
        data = self.content(self.chain.volume)
        first = {at: piece for at, piece in data.items() if at < 1 << 20}
        self.assertEqual((16, 32), (len(first), len(data)))
        for chain in self.chains[:6]:
            self.assertTrue(first == self.content(volumes[chain.full]))
            self.assertTrue(data == self.content(volumes[chain.incremental]))
        # As much as is used: Cinder accepts no less.
        self.assertEqual(4, self.session.get(
            'cinder', f'/os-quota-sets/{project}')['quota_set']['volumes'])
        with self.database() as database:
            self.assertEqual(0, database.execute(
                'SELECT count(*) FROM volume_metadata WHERE NOT deleted AND '
                'key = "cinder-backup-records"').fetchone()[0])
        found = self.program('restore', '--all', plan)
        self.assertEqual(({}, volumes), (found['restored'],
                                         found['existing']))
        # Nothing is done for what was restored already.
        found = self.program('restore', '--project', project, plan)
        self.assertEqual(
            {one.incremental for one in self.chains[:6]
             if self.owners[one.full] == project}, set(found['existing']))

    def test_restore_that_fails(self):
        """It is named with the reason; the other goes on."""
        plan = self.applied(2)
        before = self.volumes()
        broken = self.chain.incremental
        show = self.hide(broken)
        found = self.program('restore', plan, status=1)
        self.assertEqual([broken], list(found['failed']))
        self.assertIn('remove the cause and run again with --retry',
                      self.said)
        self.assertEqual([self.chains[1].incremental],
                         list(found['restored']))
        show()
        found = self.program('restore', plan, status=1)
        found = self.program('restore', '--retry', plan)
        self.assertEqual(([broken], 1), (list(found['restored']),
                                         len(found['existing'])))
        self.assertEqual(2, len(self.volumes()) - len(before))

    def prove(self, *arguments, status=0):
        """Compare the restored volumes; nothing of it is left."""
        found = self.program(
            'prove', '--basic-connector', '--config-file',
            self.state.config('cinder'), *arguments, status=status)
        with self.database() as database:
            self.assertEqual([], database.execute(
                'SELECT id FROM volume_attachment WHERE NOT deleted'
            ).fetchall())
        return found

    def change(self, volume, offset):
        """Change a byte of a volume."""
        path = self.state.data / 'volumes' / f'volume-{volume}'
        with open(path, 'r+b') as stream:
            stream.seek(offset)
            byte = stream.read(1)
            stream.seek(offset)
            stream.write(bytes([byte[0] ^ 1]))

    def test_proved(self):
        """Volumes that are what was backed up; changed ones are named."""
        plan = self.applied(3)
        self.assertIsNone(self.prove(plan, status=3))
        self.assertIn('restore the plan first', self.said)
        volumes = self.program('restore', '--all', plan)['restored']
        project = self.projects[1]
        found = self.prove('--project', project, plan)
        some = {backup: volume for backup, volume in volumes.items()
                if self.owners[backup] == project}
        self.assertEqual((2, some), (len(some), found['proved']))
        found = self.prove(plan)
        self.assertEqual((some, volumes, {}, []), (
            found['existing'], {**found['existing'], **found['proved']},
            found['differing'], found['unanchored']))
        changed, used, whole = list(volumes)[:3]
        block = 20_000 * 32768
        self.change(volumes[changed], block + 7)
        with self.database() as database:
            database.execute('UPDATE volumes SET status = "in-use" WHERE '
                             'id = ?', (volumes[used],))
        found = self.prove('--again', plan, status=1)
        self.assertEqual([changed], list(found['differing']))
        self.assertIn(f'volume {volumes[changed]}: 1 extent, the first '
                      f'differs: 32768 bytes at {block}',
                      found['differing'][changed])
        self.assertIn('is in-use', found['failed'][used])
        self.assertEqual(4, len(found['proved']))
        self.assertIn(whole, found['proved'])

    def test_prove_killed(self):
        """Run again, it detaches what a killed run has attached."""
        plan = self.applied(2)
        volumes = self.program('restore', '--all', plan)['restored']
        process = self.start(
            'prove', '--basic-connector', '--config-file',
            self.state.config('cinder'), plan, program=PROGRAM)

        def attached():
            with self.database() as database:
                return database.execute(
                    'SELECT count(*) FROM volume_attachment WHERE NOT '
                    'deleted').fetchone()[0]

        cloud_cases.until(lambda: attached() or process.poll() is not None,
                          'a volume is attached')
        process.kill()
        process.wait()
        self.assertEqual(-signal.SIGKILL, process.returncode, self.output)
        self.assertNotEqual(0, attached())
        found = self.prove(plan)
        self.assertEqual(volumes, {**found['existing'], **found['proved']})

    def test_other_cloud(self):
        """A plan is for the cloud that it was made with."""
        plan = self.lost()
        plan.write_text(plan.read_text().replace('RegionOne', 'RegionTwo'))
        self.assertIsNone(self.program('apply', plan, status=3))
        self.assertIn('is for region RegionTwo', self.said)
        self.assertEqual({}, self.rows())

    def test_two_at_a_time(self):
        plan = self.lost()
        with journals.Journal(plan.with_name(f'{plan.name}.journal')):
            self.assertIsNone(self.program('apply', plan, status=3))
        self.assertIn('in use by another process', self.said)
