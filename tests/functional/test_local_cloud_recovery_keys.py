# SPDX-License-Identifier: Apache-2.0

"""Records with keys, exported and imported by the program in a cloud."""

import base64
import contextlib
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import time

import fixtures
import psutil
import requests
import testtools

from backup_recovery import books
from backup_recovery import clouds
from local_cloud import fixture
from local_cloud import identity
from local_cloud import key_managers
from local_cloud import settings
from tests import cloud_cases
from tests import recovery_keys

_PROGRAM = (sys.executable, '-m', 'backup_recovery.main')


class RecoveryKeysTest(testtools.TestCase):
    """A volume of a project that is not the administrator's own."""

    def setUp(self):
        super().setUp()
        self.local = self.useFixture(fixture.LocalCloud(
            key_manager='barbican'))
        self.session = identity.Session(self.local.state)
        for name, value in self.local.environment.items():
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        pairs = self.useFixture(recovery_keys.Pairs())
        self.private, public = pairs.make('one')
        self.configure(public)
        self.project = self.session.request(
            'POST', 'keystone', '/projects', json={'project': {
                'name': 'red', 'domain_id': 'default'}})['project']['id']
        self.role('PUT')
        self.cloud = clouds.Cloud()
        self.red = self.cloud.session(self.project)

    def configure(self, public):
        """Have the records of this cloud wrap keys."""
        path = self.local.state.config('cinder')
        path.write_text(path.read_text().replace(
            '[backup_import_verify]\n',
            f'[backup_import_verify]\nrecovery_recipients = {public}\n'))
        self.assertIn(str(public), path.read_text())
        self.local.cloud.stop('cinder')
        self.local.cloud.up(key_manager='barbican')

    def role(self, method):
        """Give or take the administrator's role in the project."""
        user, = self.session.get('keystone', '/users?name=admin')['users']
        role, = self.session.get('keystone', '/roles?name=admin')['roles']
        self.session.request(
            method, 'keystone', f'/projects/{self.project}/users/'
                                f'{user["id"]}/roles/{role["id"]}')

    def made(self, kind, **values):
        """Make something in the project."""
        path = f'/{kind}s'
        found = self.red.request('POST', path, json={kind: values})[kind]

        def shown():
            return self.red.request('GET', f'{path}/{found["id"]}')[kind]

        cloud_cases.until(lambda: shown()['status'] in (
            'available', 'error', 'error_restoring'), f'{kind}: {values}')
        self.assertEqual('available', shown()['status'], shown())
        return shown()

    def secrets(self):
        """The keys of the project, by their ids."""
        found = self.red.request('GET', '/secrets?limit=100', 'key-manager')
        url = settings.url(self.local.state, 'barbican')
        token = self.red._clients['key-manager'].get_token()
        return {one['secret_ref'].rpartition('/')[2]: requests.get(
            f'{url}/v1/secrets/{one["secret_ref"].rpartition("/")[2]}/payload',
            timeout=60, headers={'X-Auth-Token': token,
                                 'Accept': 'application/octet-stream'}).content
            for one in found['secrets']}

    def program(self, *arguments, status=0):
        """Run the program, and look at the list of processes meanwhile."""
        process = subprocess.Popen(
            [*_PROGRAM, *map(str, arguments), '-f', 'json'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None:
            for one in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    self.processes.update(one.cmdline())
                    if one.pid == process.pid:
                        self.processes.update(one.environ().values())
            time.sleep(0.02)
        said, error = process.communicate()
        self.output += [said, error]
        self.assertEqual(status, process.returncode, error)
        self.assertNotIn('Traceback', error)
        return json.loads(said), error

    def assert_not_shown(self, texts, forms):
        """No text has one of some forms, also where it is in base64."""
        for text in texts:
            for part in re.findall(r'[A-Za-z0-9+/]{200,}', text):
                text += base64.b64decode(part[:len(part) // 4 * 4]).decode(
                    errors='replace')
            for form in forms:
                self.assertNotIn(form, text)

    def test_volume_whose_key_is_lost(self):
        """All of it: exported, lost with its keys, imported, restored."""
        self.processes, self.output = set(), []
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        book, plan = directory / 'records', directory / 'plan'
        volume = self.made('volume', size=1,
                           volume_type=key_managers.VOLUME_TYPE)
        content = os.urandom(1 << 20)
        path = self.local.state.data / 'volumes' / f'volume-{volume["id"]}'
        with open(path, 'r+b') as stream:
            stream.write(content)
        backup = self.made('backup', volume_id=volume['id'])
        key = self.secrets()[backup['encryption_key_id']]
        # An administrator without a role in the project gets no key.
        self.role('DELETE')
        found, error = self.program('export', book)
        self.assertEqual({backup['id']: self.project}, found['unproven'])
        self.assertIn('1 record of encrypted volumes cannot prove the key: '
                      'user ', error)
        self.role('PUT')
        self.cloud = clouds.Cloud()
        self.red = self.cloud.session(self.project)
        found, _ = self.program('export', '--everything', book)
        self.assertEqual({}, found['unproven'])
        wrapped = self.wrapped(book)
        # The database and the key manager.
        self.lose()
        for secret in self.secrets():
            self.red.request('DELETE', f'/secrets/{secret}', 'key-manager')
        self.program('plan', book, plan)
        found, error = self.program('apply', plan, status=1)
        self.assertIn(f'the key manager has no key '
                      f'{backup["encryption_key_id"]}', error)
        found, _ = self.program('apply', '--retry', plan, '--recovery-key',
                                self.private)
        self.assertEqual([backup['id']], found['imported'])
        row = self.red.backup(backup['id'])
        self.assertEqual({row.key_id: key}, self.secrets())
        restored = self.made('volume', size=1, backup_id=backup['id'],
                             volume_type=key_managers.VOLUME_TYPE)
        with open(path.with_name(f'volume-{restored["id"]}'), 'rb') as stream:
            self.assertEqual(content, stream.read(1 << 20))
        self.assertEqual(key, self.secrets()[restored['encryption_key_id']])
        logs = [one.read_text(errors='replace') for one in
                self.local.state.root.rglob('*.log')]
        self.assertIn(backup['id'], ''.join(logs))
        forms = (key.hex(), base64.b64encode(key).decode(), str(key)[2:-1],
                 wrapped['ciphertext'],
                 wrapped['recipients'][0]['encrypted_key'])
        self.assertIn(str(self.private), self.processes)
        self.assert_not_shown([*logs, *self.processes, *self.output,
                               pathlib.Path(f'{plan}.journal').read_text()],
                              forms)
        # And it would be found.
        self.assertRaises(AssertionError, self.assert_not_shown,
                          [book.read_text()], forms)

    def wrapped(self, book):
        found = books.Book(book).load()
        with found.reader() as read:
            one, = map(read, found.records.values())
        return one.fields['driver_info']['encryption']['wrapped']

    def lose(self):
        """Lose the rows of all backups."""
        with contextlib.closing(sqlite3.connect(
                self.local.state.database('cinder'), timeout=60)) as database:
            database.execute('DELETE FROM backups')
            database.commit()
