# SPDX-License-Identifier: Apache-2.0

"""The local cloud with backups on a real Swift."""


import psutil
import requests
from tempest.lib import auth
from tempest.lib.services import object_storage
import testtools

from backup_stores import base as stores_base
from backup_stores import swift as swift_store
from cinder_backup_recovery_tests.stores import configured
from local_cloud import fixture
from local_cloud import identity
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import daemons
from local_cloud.services import swift
from tests import cloud_cases

_RECOVERY = ('cinder_backup_recovery_tests.scenario.test_row_loss.'
             'FullBackupRowLossTest.test_hard_loss_restored_to_new_volume')


class SwiftProfileTest(cloud_cases.TwoSites, testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud('swift', second_region=True)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)

    def _session(self):
        return identity.Session(self.local.state)

    def test_backup_is_recovered_from_swift(self):
        # The test itself refuses a backup of another driver. What it stores
        # is in the account of a project of its own.
        devices = self.local.state.data / swift.Swift.name / 'disk'
        before = set(devices.glob('containers/**/*.db'))
        code, text = cloud_cases.recover(self.local, _RECOVERY)
        self.assertEqual(0, code, text)
        self.assertNotEqual(
            set(), set(devices.glob('containers/**/*.db')) - before)

    def test_all_servers_listen_on_loopback_only(self):
        process = daemons.alive(self.local.state, swift.Swift.name)
        sockets = [c.laddr for c in process.net_connections('tcp')
                   if c.status == psutil.CONN_LISTEN]
        self.assertEqual({'127.0.0.1'}, {address.ip for address in sockets})
        self.assertEqual(
            {self.local.state.record['ports'][name]
             for name in swift.Swift(self.local.state).ports},
            {address.port for address in sockets})

    def test_restart_keeps_ports_and_data(self):
        ports = dict(self.local.state.record['ports'])
        session = self._session()
        session.request('PUT', 'swift', '/kept')
        self.local.cloud.stop(swift.Swift.name)
        self.assertEqual('stopped', self.local.cloud.status()['services'][
            swift.Swift.name]['state'])
        self.local.cloud.up('swift')
        self.assertEqual(ports, self.local.state.record['ports'])
        self.assertIn('kept', [container['name'] for container in
                               session.get('swift', '?format=json')])

    def _store(self, site):
        """The adapter of the tests, as the administrator, at one site."""
        state = self.local.state
        provider = auth.KeystoneV3AuthProvider(auth.KeystoneV3Credentials(
            username=settings.ADMIN_USER,
            password=state.record['passwords'][settings.ADMIN_USER],
            project_name=settings.ADMIN_PROJECT, user_domain_name='Default',
            project_domain_name='Default'),
            settings.endpoint(state, 'keystone'))
        store = swift_store.SwiftStore(configured.requests_of(
            object_storage.ObjectClient(provider, 'object-store',
                                        site.region)))
        store.check()
        return store

    def test_copied_to_the_accounts_of_the_other_site(self):
        """With all that is said of an object, and nothing else's."""
        session = self._session()
        container, prefix = 'some backups', 'volume_1/20261122/az_ü_backup_b'
        said = {'Content-Type': 'text/x-backup', 'X-Object-Meta-Kind': 'full',
                'Content-Encoding': 'zstd', 'X-Delete-At': '4102444800',
                'Content-Disposition': 'attachment'}
        session.request('PUT', 'swift', f'/{container}')
        for name, headers in ((f'{prefix}-00001', said),
                              (f'{prefix}_metadata', {}),
                              ('another', {})):
            session.request('PUT', 'swift', f'/{container}/{name}',
                            data=name.encode() * 9, headers=headers)
        here, there = (self._store(site)
                       for site in (sites.FIRST, sites.SECOND))
        backup = stores_base.Backup('b', '', container, prefix, None, {})
        parts = self.copy(backup, here, there)
        _, head, _ = there._send('GET', container, f'{prefix}-00001')
        self.assertEqual({key.lower(): value for key, value in said.items()},
                         {key.lower(): head.get(key.lower()) for key in said})
        self.remove(backup, parts, here, there)

    def test_stranger_is_refused(self):
        session = self._session()
        for prefix in settings.ACCOUNTS.values():
            for account in (session.project_id, 'another'):
                answer = session._requests.get(
                    settings.url(self.local.state, 'swift') +
                    f'/v1/{prefix}_{account}', timeout=10,
                    headers={'X-Auth-Token': 'nobody'})
                self.assertEqual(401, answer.status_code)
        # Nor does a member of one project get at another's account.
        user = session.request('POST', 'keystone', '/users', json={'user': {
            'name': 'member', 'password': 'its-secret'}})['user']
        project = session.request('POST', 'keystone', '/projects', json={
            'project': {'name': 'its-project'}})['project']
        role, = (one['id'] for one in session.get('keystone', '/roles')[
            'roles'] if one['name'] == 'member')
        session.request('PUT', 'keystone', f'/projects/{project["id"]}/users/'
                                           f'{user["id"]}/roles/{role}')
        answer = requests.post(
            settings.endpoint(self.local.state, 'keystone') + '/auth/tokens',
            json={'auth': {
                'identity': {'methods': ['password'], 'password': {'user': {
                    'id': user['id'], 'password': 'its-secret'}}},
                'scope': {'project': {'id': project['id']}}}}, timeout=30)
        token = {'X-Auth-Token': answer.headers['X-Subject-Token']}
        for prefix in settings.ACCOUNTS.values():
            for account, codes in ((project['id'], (200, 204)),
                                   (session.project_id, (403,))):
                answer = requests.get(
                    settings.url(self.local.state, 'swift') +
                    f'/v1/{prefix}_{account}', timeout=10, headers=token)
                self.assertIn(answer.status_code, codes, prefix)
