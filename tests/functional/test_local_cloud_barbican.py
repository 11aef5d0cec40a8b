# SPDX-License-Identifier: Apache-2.0

"""The local cloud with a real Barbican, and with Cinder's fixed key."""

import contextlib
import logging
import os
import re
import subprocess
import sys
import time

import fixtures
import psutil
import requests
from tempest.lib import auth
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import keys
from local_cloud import fixture
from local_cloud import identity
from local_cloud import key_managers
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import daemons
from local_cloud.services import barbican
from tests import cloud_cases

_PARAMETERS = ('provider', 'cipher', 'key_size', 'control_location')
_PATIENCE = 60
_SUITE = tuple(f'cinder_backup_recovery_tests.scenario.{name}'
               for name in ('test_database_loss', 'test_encrypted',
                            'test_encrypted_faults',
                            'test_encrypted_shipping'))


class _Made:
    """A resource of a cloud, while it is needed."""

    kind: str

    def __init__(self, session, site=sites.FIRST.name):
        self._session, self._site = session, site

    def make(self, **fields):
        made = self._session.request(
            'POST', self._site, f'/{self.kind}s',
            json={self.kind: fields})[self.kind]
        self._path = f'/{self.kind}s/{made["id"]}'
        self._wait(lambda status: status != 'creating')
        return made['id']

    def __exit__(self, *args):
        self._session.request('DELETE', self._site, self._path)
        with contextlib.suppress(requests.HTTPError):
            self._wait(lambda status: False)

    def _wait(self, wanted):
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if wanted(self._session.get(self._site, self._path)[self.kind][
                    'status']):
                return
            time.sleep(0.05)
        raise AssertionError(f'{self._path} waits too long')


class Encrypted(_Made):
    """An encrypted volume, of which it gives the id of the key."""

    kind = 'volume'

    def __enter__(self):
        self.id = self.make(size=1, volume_type=key_managers.VOLUME_TYPE)
        return self._session.get(self._site, f'{self._path}/encryption')[
            'encryption_key_id']


class Backup(_Made):
    """The backup of a volume."""

    kind = 'backup'

    def __init__(self, session, volume_id):
        super().__init__(session)
        self._volume_id = volume_id

    def __enter__(self):
        return self.make(volume_id=self._volume_id)


class BarbicanTest(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud(key_manager='barbican',
                                       second_region=True)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)

    def setUp(self):
        super().setUp()
        # The suite has started Barbican again by a program.
        self.local.state.load()
        self.session = identity.Session(self.local.state)

    def _key(self, key_id):
        answer = requests.get(
            f'{settings.url(self.local.state, "barbican")}/v1/secrets/'
            f'{key_id}/payload', timeout=30,
            headers={'X-Auth-Token': self.session.token,
                     'Accept': 'application/octet-stream'})
        return answer.content if answer.ok else None

    def _types(self, site):
        found = self.session.get(site.name, '/types')['volume_types']
        return {one['name']: one['id'] for one in found}

    def _encryption(self, site):
        type_id = self._types(site)[key_managers.VOLUME_TYPE]
        found = self.session.get(site.name, f'/types/{type_id}/encryption')
        return type_id, {name: found[name] for name in _PARAMETERS}

    def test_each_volume_has_a_key_at_both_sites(self):
        with Encrypted(self.session) as one, \
                Encrypted(self.session, sites.SECOND.name) as other:
            found = {self._key(one), self._key(other)}
            self.assertEqual([32, 32], [len(key) for key in found])
        # Barbican has forgotten them with their volumes.
        self.assertEqual([None, None], [self._key(one), self._key(other)])

    def test_types_are_equal_and_have_other_ids(self):
        (one, ours), (other, theirs) = map(self._encryption,
                                           (sites.FIRST, sites.SECOND))
        self.assertNotEqual(one, other)
        self.assertEqual(ours, theirs)

    def test_catalogue_has_it_in_both_regions(self):
        service, = self.session.get(
            'keystone', '/services?type=key-manager')['services']
        found = self.session.get('keystone', f'/endpoints?service_id='
                                             f'{service["id"]}')['endpoints']
        self.assertEqual(
            {(site.region, settings.url(self.local.state, 'barbican'))
             for site in (sites.FIRST, sites.SECOND)},
            {(one['region'], one['url']) for one in found})

    def test_keys_and_types_survive(self):
        """A kill of Barbican, and the loss of the database, cost nothing."""
        before, parameters = self._encryption(sites.FIRST)
        with Encrypted(self.session, sites.SECOND.name) as key_id:
            key = self._key(key_id)
            self.local.cloud.kill(barbican.Barbican.name)
            self.assertRaises(requests.ConnectionError, self._key, key_id)
            self.local.cloud.up(key_manager='barbican', second_region=True)
            self.assertEqual(key, self._key(key_id))
        self.local.cloud.lose_database()
        after, found = self._encryption(sites.FIRST)
        self.assertNotEqual(before, after)
        self.assertEqual(parameters, found)

    def test_key_is_read_and_stored_and_not_logged(self):
        """Logs of Tempest go into published reports."""
        account = self.local.environment
        manager = auth.KeystoneV3AuthProvider(
            auth.KeystoneV3Credentials(
                username=account['OS_USERNAME'],
                password=account['OS_PASSWORD'],
                project_name=account['OS_PROJECT_NAME'],
                user_domain_name='Default', project_domain_name='Default'),
            account['OS_AUTH_URL'])
        client = keys.Barbican(manager, 'key-manager', settings.REGION)
        log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        before = client.count()
        with Encrypted(self.session) as key_id:
            self.assertEqual(before + 1, client.count())
            key = client.key(key_id)
            self.assertEqual(self._key(key_id), key)
            copied = client.store(key)
            self.assertEqual(key, self._key(copied))
            client.delete(copied)
        self.assertIn(key_id, log.output)
        for shown in (key.hex(), repr(key)[2:-1]):
            self.assertNotIn(shown, log.output)
        self.assertFalse(client.exists(key_id))
        client.delete(key_id)
        exc = self.assertRaises(exceptions.ContentMismatch, client.key,
                                key_id)
        self.assertIn(f'key {key_id} does not exist', str(exc))

    def test_a_key_is_read_by_two_requests(self):
        """One for its metadata, one for its bytes, for the clone of a backup.

        barbicanclient by itself makes 16: it reads a secret without a name
        again for each property of it.
        """
        log = self.local.state.logs / 'barbican.log'
        volume = Encrypted(self.session)
        with volume as key_id:
            before = log.stat().st_size
            with Backup(self.session, volume.id), open(log) as lines:
                lines.seek(before)
                self.assertEqual(
                    ['', '/payload'], re.findall(
                        rf'request: 200 OK - GET \S+{key_id}(\S*)',
                        lines.read()))

    def test_encrypted_volumes_are_recovered(self):
        """The defects that the cloud declares show; all else works."""
        code, text = cloud_cases.recover(self.local, *_SUITE)
        self.assertEqual(0, code, text)
        self.assertIn('Ran 13 tests', text)

    def test_commands_of_the_page(self):
        def run(command):
            return subprocess.run(
                [sys.executable, '-m', 'openstackclient.shell',
                 *command.split()[1:]],
                env={**os.environ, **self.local.environment}, check=True,
                capture_output=True, text=True, timeout=60).stdout

        run('openstack volume create --size 1 --type luks secret')
        self.assertIn('ACTIVE', run('openstack secret list'))
        # The suite loses no database that has the volumes of others.
        run('openstack volume delete secret')
        cloud_cases.until(lambda: not self.session.get(
            sites.FIRST.name, '/volumes')['volumes'], 'the volume is deleted')

    def test_it_listens_on_loopback_only(self):
        process = daemons.alive(self.local.state, barbican.Barbican.name)
        self.assertEqual(
            {('127.0.0.1', self.local.state.record['ports']['barbican'])},
            {tuple(c.laddr) for c in process.net_connections('tcp')
             if c.status == psutil.CONN_LISTEN})


class EachTest(testtools.TestCase):
    """Two sites, each of which knows its own keys."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud(key_manager=key_managers.EACH,
                                       second_region=True)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)

    def test_each_region_has_its_own(self):
        session = identity.Session(self.local.state)
        urls = {site.region: key_managers.barbican_of(
            self.local.state, site).location()
            for site in (sites.FIRST, sites.SECOND)}
        self.assertEqual(2, len({*urls.values()}))
        service, = session.get(
            'keystone', '/services?type=key-manager')['services']
        self.assertEqual(urls, {
            one['region']: one['url'] for one in session.get(
                'keystone', f'/endpoints?service_id={service["id"]}')[
                    'endpoints']})
        with Encrypted(session) as one, \
                Encrypted(session, sites.SECOND.name) as other:
            self.assertEqual(
                [(200, 404), (404, 200)],
                [tuple(requests.get(
                    f'{url}/v1/secrets/{key_id}', timeout=30,
                    headers={'X-Auth-Token': session.token}).status_code
                    for url in (urls['RegionOne'], urls['RegionTwo']))
                 for key_id in (one, other)])

    def test_shipped_volumes_are_recovered(self):
        """The keys are brought to the other site."""
        code, text = cloud_cases.recover(self.local, _SUITE[-1])
        self.assertEqual(0, code, text)
        self.assertIn('Ran 4 tests', text)


class FixedKeyTest(testtools.TestCase):

    def test_all_volumes_have_one_key(self):
        with fixture.started(key_manager='fixed') as local:
            session = identity.Session(local.state)
            with Encrypted(session) as one, Encrypted(session) as other:
                self.assertEqual(one, other)
