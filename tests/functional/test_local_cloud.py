# SPDX-License-Identifier: Apache-2.0

"""A real local cloud, as its users see it."""

import json
import os
import pathlib
import re
import signal
import socket
import sys
from unittest import mock

import fixtures
import psutil
import requests
import testtools

from local_cloud import clients
from local_cloud import exceptions
from local_cloud import fixture
from local_cloud import identity
from local_cloud import settings
from local_cloud import template
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons
from local_cloud.services import cinder
from tests import cloud_cases

SERVICES = ('keystone', 'glance', 'cinder', 'cinder-two')
MEMORY = 600 * 1024 ** 2
_SHIPPING = ('cinder_backup_recovery_tests.scenario.test_shipping.'
             'ShippedBackupTest')


class LocalCloudTest(cloud_cases.OneCloud, cloud_cases.CloudCase):
    """One cloud that logs everything, for all of these."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud(debug=True, second_region=True)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)
        cls.cloud = cls.local.cloud
        cls.state = cls.local.state

    def setUp(self):
        super().setUp()
        self.directory = self.state.root

    def _recover(self):
        """The next test finds the cloud ready, after any test."""
        for process in daemons.all_of(self.state):
            process.resume()
        self.cloud.up()

    @staticmethod
    def volume(session):
        """Make a volume; returns its id."""
        made = session.request('POST', 'cinder', '/volumes', json={
            'volume': {'size': 1}})['volume']['id']
        cloud_cases.until(lambda: session.get(
            'cinder', f'/volumes/{made}')['volume'][
                'status'] == 'available', 'the volume')
        return made

    def test_status(self):
        done = self.on('status', '--json')
        self.assertEqual(0, done.returncode, done.stderr)
        status = json.loads(done.stdout)
        self.assertEqual(set(SERVICES), set(status['services']))
        self.assertEqual(set(SERVICES), set(status['versions']))
        self.assertEqual(self.state.cloud_id, status['id'])
        done = self.on('status')
        for name, service in status['services'].items():
            self.assertEqual('ready', service['state'])
            self.assertIn(f'{service["url"]}  ready, pid {service["pid"]}',
                          done.stdout)
            self.assertIn(name, done.stdout)

    def test_no_service_looks_for_entry_points(self):
        """The template has them, if they were kept when it was made."""
        kept, found = (
            {path.name: path.read_text()
             for path in (directory / 'python-entrypoints').iterdir()}
            for directory in (template.home() / template.key(self.state),
                              self.state.tmp))
        self.assertLessEqual(kept.items(), found.items())
        # Clients with the environment of the cloud look there, too. Only its
        # services are started in its directory.
        self.assertNotIn(str(self.state.root), ''.join(found.values()))

    def test_memory(self):
        self.assertLess(self.cloud.memory(), MEMORY)

    def test_listed(self):
        self.environment['TMPDIR'] = str(self.state.root.parent.parent)
        self.assertIn(f'{self.state.root}  running, in use',
                      self.on('list').stdout)

    def test_logs(self):
        for service in SERVICES:
            done = self.on('logs', service, '-n', '3')
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertEqual(3, done.stdout.count('\n'))

    def test_a_reader_that_has_enough(self):
        done = self.call('-c', ' '.join([
            *map(repr, cloud_cases.PROGRAM), '--state-dir',
            str(self.directory), 'logs', 'cinder', '|', 'head', '-n', '1']),
            program=('bash', '-o', 'pipefail'))
        self.assertEqual((0, ''), (done.returncode, done.stderr))

    def test_up_again_changes_nothing(self):
        before = self.pids()
        done = self.on('up')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('keystone ran already', done.stderr)
        self.assertEqual(before, self.pids())

    def test_lost_database(self):
        before = self.pids()
        session = identity.Session(self.state)
        made = session.request('POST', 'cinder', '/types', json={
            'volume_type': {'name': 'to-be-forgotten'}})['volume_type']
        done = self.on('lose-database')
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertNotIn(made['id'], [
            one['id'] for one in session.get('cinder', '/types')[
                'volume_types']])
        after = self.pids()
        self.assertNotEqual(before.pop('cinder'), after.pop('cinder'))
        self.assertEqual(before, after)
        self.assertEqual({'ready'}, set(self.states().values()))

    def test_killed_service(self):
        self.addCleanup(self._recover)
        before = self.pids()
        done = self.on('kill', 'swift')
        self.assertEqual(3, done.returncode)
        self.assertIn('known: keystone, glance, cinder, cinder-two',
                      done.stderr)
        done = self.on('kill', 'cinder-two')
        self.assertEqual(0, done.returncode, done.stderr)
        states = self.states()
        self.assertEqual('stopped', states.pop('cinder-two'))
        self.assertEqual({'ready'}, set(states.values()))
        self._recover()
        after = self.pids()
        self.assertNotIn(after.pop('cinder-two'),
                         (None, before.pop('cinder-two')))
        self.assertEqual(before, after)

    def test_paused_service(self):
        before = self.pids()
        self.addCleanup(self.on, 'resume', 'glance')
        done = self.on('pause', 'glance')
        self.assertEqual(0, done.returncode, done.stderr)
        states = self.states()
        self.assertEqual('not ready: ', states.pop('glance')[:11])
        self.assertEqual({'ready'}, set(states.values()))
        # The second time it does not hang, and is left alone.
        for _ in range(2):
            done = self.on('resume', 'glance')
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertEqual({'ready'}, set(self.states().values()))
        self.assertEqual(before, self.pids())

    def test_nothing_to_pause(self):
        self.addCleanup(self._recover)
        for verb in 'pause', 'resume':
            done = self.on(verb, 'swift')
            self.assertEqual(3, done.returncode)
            self.assertIn('unknown service swift', done.stderr)
        self.on('kill', 'glance')
        for verb in 'pause', 'resume':
            done = self.on(verb, 'glance')
            self.assertEqual(3, done.returncode)
            self.assertIn('does not run; "up" starts it', done.stderr)

    def test_second_region_is_another_site(self):
        session = identity.Session(self.state)
        made = session.request('POST', 'cinder-two', '/types', json={
            'volume_type': {'name': 'of-the-second'}})['volume_type']
        self.assertNotIn(made['id'], [
            one['id'] for one in session.get('cinder', '/types')[
                'volume_types']])
        hosts = {name: {one['host'] for one in session.get(
            name, '/os-services')['services']}
            for name in ('cinder', 'cinder-two')}
        self.assertEqual({'cinder': {'local', 'local@sparse'},
                          'cinder-two': {'second', 'second@sparse'}}, hosts)
        endpoints = session.get('keystone', '/endpoints')['endpoints']
        self.assertEqual(
            {'RegionOne', 'RegionTwo'},
            {one['region_id'] for one in endpoints
             if one['url'] in (settings.endpoint(self.state, name)
                               for name in hosts)})

    def test_loopback_only(self):
        own = {p.pid for p in daemons.all_of(self.state)}
        listening = [c for c in psutil.net_connections('inet')
                     if c.pid in own and (c.status == psutil.CONN_LISTEN or
                                          c.type == socket.SOCK_DGRAM)]
        self.assertEqual({'127.0.0.1'}, {c.laddr.ip for c in listening})
        self.assertEqual(set(self.state.record['ports'].values()),
                         {c.laddr.port for c in listening})

    def test_services_have_sessions_of_their_own(self):
        for pid in self.pids().values():
            self.assertEqual(pid, os.getsid(pid))

    def test_only_its_owner_reads_it(self):
        self.assertEqual(0o700, self.state.root.stat().st_mode & 0o777)
        secrets = [p.encode() for p in
                   self.state.record['passwords'].values()]
        found = set()
        for path in self.state.root.rglob('*'):
            if path.is_file() and path.stat().st_size < 16 * 1024 ** 2:
                content = path.read_bytes()
                if any(secret in content for secret in secrets):
                    found.add(path.name)
                    self.assertEqual(0, path.stat().st_mode & 0o077, path)
        # So that this looks at what it has to.
        self.assertLessEqual(
            {'cloud.json', 'openrc', 'clouds.yaml', 'tempest.conf',
             'cinder.conf', 'glance-api.conf'}, found)

    def test_no_password_in_logs_and_process_list(self):
        # Requests that carry passwords and secrets.
        session = identity.Session(self.state)
        user = session.request('POST', 'keystone', '/users', json={'user': {
            'name': 'someone', 'password': 'first-secret'}})['user']
        session.request('POST', 'keystone', f'/users/{user["id"]}/password',
                        json={'user': {'original_password': 'first-secret',
                                       'password': 'second-secret'}})
        session.request('PATCH', 'keystone', f'/users/{user["id"]}', json={
            'user': {'password': 'third-secret'}})
        session.request('DELETE', 'keystone', f'/users/{user["id"]}')
        refused = requests.post(
            self.local.environment['OS_AUTH_URL'] + '/auth/tokens', json={
                'auth': {'identity': {
                    'methods': ['password'], 'password': {'user': {
                        'name': 'admin', 'domain': {'id': 'default'},
                        'password': 'wrong-secret'}}}}}, timeout=30)
        self.assertEqual(401, refused.status_code)
        token = session._requests.headers['X-Auth-Token']
        secrets = [*self.state.record['passwords'].values(), token,
                   *(f'{word}-secret' for word in
                     ('first', 'second', 'third', 'wrong'))]
        logs = sorted(self.state.logs.glob('*.log'))
        self.assertLessEqual({f'{name}.log' for name in SERVICES},
                             {log.name for log in logs})
        for log in logs:
            text = log.read_text(errors='replace')
            for secret in secrets:
                line = next((line for line in text.splitlines()
                             if secret in line), None)
                self.assertIsNone(line, log)
        for process in daemons.all_of(self.state):
            shown = ' '.join(process.cmdline())
            self.assertFalse([s for s in secrets if s in shown])

    def test_two_clouds(self):
        other = fixture.LocalCloud()
        with other:
            self.assertNotEqual(self.state.root, other.state.root)
            self.assertFalse(set(self.state.record['ports'].values()) &
                             set(other.state.record['ports'].values()))
            for cloud in (self.cloud, other.cloud):
                self.assertEqual(
                    {'ready'}, {s['state'] for s in
                                cloud.status()['services'].values()})
            # What is in one is not in the other.
            identity.Session(other.state).request(
                'POST', 'keystone', '/projects',
                json={'project': {'name': 'elsewhere'}})
            self.assertEqual([], identity.Session(self.state).get(
                'keystone', '/projects?name=elsewhere')['projects'])
        self.assertFalse(other.state.root.parent.exists())
        self.assertEqual({'ready'}, set(self.states().values()))

    def test_a_killed_service_comes_back(self):
        self.addCleanup(self._recover)
        session = identity.Session(self.state)
        volume = self.volume(session)
        for name in SERVICES:
            before, port = self.pids(), self.state.record['ports'][name]
            os.kill(before[name], signal.SIGKILL)
            done = self.on('status')
            self.assertEqual(1, done.returncode)
            self.assertRegex(done.stdout, rf'(?m)^{name} .* stopped$')
            done = self.on('up')
            self.assertEqual(0, done.returncode, done.stderr)
            self.state.load()
            self.assertEqual(port, self.state.record['ports'][name])
            after = self.pids()
            self.assertEqual({name}, {n for n in SERVICES
                                      if before[n] != after[n]})
        self.assertEqual('available', session.get(
            'cinder', f'/volumes/{volume}')['volume']['status'])
        session.request('DELETE', 'cinder', f'/volumes/{volume}')

    def test_stopped_by_the_fixture(self):
        self.addCleanup(self._recover)
        self.cloud.stop('glance')
        self.assertEqual('stopped', self.states()['glance'])
        self.cloud.up()
        self.assertEqual('ready', self.states()['glance'])

    def test_a_service_that_never_answers(self):
        self.addCleanup(self._recover)
        before = self.pids()
        os.kill(before['glance'], signal.SIGSTOP)
        done = self.on('up', '--timeout', '0.5')
        self.assertEqual(3, done.returncode, done.stderr)
        self.assertIn('glance did not become ready within', done.stderr)
        self.assertIn('the end of its log', done.stderr)
        # What ran before goes on.
        os.kill(before['glance'], signal.SIGCONT)
        self.assertEqual(before, self.pids())

    def test_a_port_that_was_taken(self):
        self.addCleanup(self._recover)
        before = self.pids()
        self.cloud.stop('glance')
        port = self.state.record['ports']['glance']
        with socket.create_server(('127.0.0.1', port)):
            done = self.on('up')
        self.assertEqual(3, done.returncode)
        self.assertIn(f'glance cannot bind its port {port} again: Address '
                      f'already in use', done.stderr)
        self.assertEqual(1, done.stderr.count('\nerror: '), done.stderr)
        after = self.pids()
        self.assertEqual(before['keystone'], after['keystone'])
        self.assertIsNone(after['glance'])

    def test_a_configuration_that_a_service_refuses(self):
        self.addCleanup(self._recover)
        path = self.state.config('cinder')
        text = path.read_text()
        self.addCleanup(path.write_text, text)
        path.write_text(text.replace('\nbackup_workers = ',
                                     '\nbackup_workers = many'))
        self.cloud.stop('cinder')
        done = self.on('up')
        self.assertEqual(3, done.returncode)
        self.assertIn('cinder ended while it was starting', done.stderr)
        self.assertIn('backup_workers', done.stderr)

    def test_a_backup_driver_that_is_slow_to_start(self):
        """A cloud that is reported ready can make backups."""
        (self.temporary / 'slow_driver.py').write_text(
            'import time\n'
            'from cinder.backup.drivers import posix\n'
            'class Slow(posix.PosixBackupDriver):\n'
            '    def check_for_setup_error(self):\n'
            '        time.sleep(8)\n')
        self.useFixture(fixtures.EnvironmentVariable(
            'PYTHONPATH', os.pathsep.join(filter(None, (
                str(self.temporary), os.environ.get('PYTHONPATH'))))))
        path = self.state.config('cinder')
        text = path.read_text()
        self.addCleanup(self._recover)
        self.addCleanup(self.cloud.stop, 'cinder')
        self.addCleanup(path.write_text, text)
        path.write_text(re.sub(r'(?m)^backup_driver = .*',
                               'backup_driver = slow_driver.Slow', text))
        self.cloud.stop('cinder')
        self.cloud.up()
        session = identity.Session(self.state)
        volume = self.volume(session)
        backup = session.request('POST', 'cinder', '/backups', json={
            'backup': {'volume_id': volume}})['backup']

        def shown():
            return session.get('cinder', f'/backups/{backup["id"]}')['backup']

        cloud_cases.until(lambda: shown()['status'] != 'creating',
                          'the backup')
        self.assertEqual(('available', None),
                         (shown()['status'], shown()['fail_reason']))

    def test_clients_by_the_environment(self):
        for command in ('openstack volume service list -f value',
                        'openstack token issue',
                        'cinder list', 'openstack image list'):
            done = self.call(
                '-c', f'eval "$({" ".join(cloud_cases.PROGRAM)} --state-dir '
                      f'{self.directory} env)"; '
                      f'{pathlib.Path(sys.executable).parent}/{command}',
                program=('bash',))
            self.assertEqual(0, done.returncode, done.stderr)
            if 'service' in command:
                for name in ('backup', 'volume', 'scheduler'):
                    self.assertRegex(
                        done.stdout,
                        rf'(?m)^cinder-{name} .* enabled up ')

    def test_clients_by_clouds_yaml(self):
        done = self.on('env', '--clouds-yaml')
        self.assertEqual(0, done.returncode)
        (self.temporary / 'clouds.yaml').write_text(done.stdout)
        self.environment['OS_CLOUD'] = clients.CLOUD_NAME
        program = (str(pathlib.Path(sys.executable).parent / 'openstack'),)
        done = self.call('volume', 'backup', 'list', program=program)
        self.assertEqual(0, done.returncode, done.stderr)
        done = self.call('catalog', 'list', '-f', 'json', program=program)
        self.assertEqual({'keystone', 'glance', 'cinder'},
                         {s['Name'] for s in json.loads(done.stdout)})

    def test_newest_microversion(self):
        answer = requests.get(
            self.cloud.status()['services']['cinder']['url'], timeout=30)
        version = answer.json()['versions'][0]['version']
        self.assertGreaterEqual(tuple(map(int, version.split('.'))), (3, 68))

    def test_requests_side_by_side(self):
        """Writers wait for each other; no request finds a locked database."""
        session = identity.Session(self.state)
        self.addCleanup(self._delete_all, session)
        with fixtures.Timeout(120, gentle=True):
            volumes = [session.request(
                'POST', 'cinder', '/volumes',
                json={'volume': {'size': 1}})['volume']['id']
                for _ in range(8)]
            cloud_cases.until(
                lambda: {v['status'] for v in session.get(
                    'cinder', '/volumes/detail')['volumes']
                    if v['id'] in volumes} == {'available'}, 'volumes')
        for log in self.state.logs.glob('*.log'):
            self.assertIsNone(re.search('database is locked',
                                        log.read_text(errors='replace')))

    @staticmethod
    def _delete_all(session):
        for volume in session.get('cinder', '/volumes')['volumes']:
            session.request('DELETE', 'cinder', f'/volumes/{volume["id"]}')


class WithoutServiceTest(testtools.TestCase):
    def test_backup_left_out(self):
        with fixture.LocalCloud(without=('cinder-backup',)) as local:
            services = identity.Session(local.state).get(
                'cinder', '/os-services')['services']
            self.assertEqual({'cinder-volume', 'cinder-scheduler'},
                             {s['binary'] for s in services})


class FixtureTest(testtools.TestCase):
    def test_a_cloud_that_fails_leaves_nothing(self):
        local = fixture.LocalCloud(timeout=0.01)
        with mock.patch.object(cinder.Cinder, 'ready',
                               return_value='it is ill'):
            error = self.assertRaises(
                (fixtures.MultipleExceptions, exceptions.ServiceFailed),
                local.setUp)
        self.assertIn('did not become ready', str(error))
        self.assertFalse(local.state.root.parent.exists())
        self.assertEqual([], daemons.all_of(local.state))
        self.assertNotIn(local.state.root.parent,
                         cloud_state.temporary_directories())


class SharedStoreTest(testtools.TestCase):
    """Two sites that reach one storage, by the option for it."""

    def test_shipped_without_a_copy(self):
        with fixture.LocalCloud(second_region=True,
                                second_store='shared') as local:
            first, second = (
                re.search('^backup_posix_path = .*', local.state.config(
                    name).read_text(), re.MULTILINE)[0]
                for name in ('cinder', 'cinder-two'))
            self.assertEqual(first, second)
            code, text = cloud_cases.recover(local, _SHIPPING)
            self.assertEqual(0, code, text)
            self.assertIn('Ran 2 tests', text)
