# SPDX-License-Identifier: Apache-2.0

"""Certifications by a user with the role member."""

import shutil

import testtools

from local_cloud import identity
from tests.functional import certify_cases

_PASSWORD = 'planted-password-of-the-user'
_ONE = 'TenantFullTest.test_restored_to_new_volume'


class CertifyTenantTest(certify_cases.CertifyCase):
    verb = 'tenant'
    options = {'key_manager': 'barbican'}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        session = identity.Session(cls.local.state)
        project = session.request('POST', 'keystone', '/projects', json={
            'project': {'name': 'acme', 'domain_id': 'default'}})['project']
        cls.user = session.request('POST', 'keystone', '/users', json={
            'user': {'name': 'alice', 'password': _PASSWORD,
                     'domain_id': 'default'}})['user']['id']
        cls.project = project['id']
        cls.role = f'/projects/{cls.project}/users/{cls.user}/roles/'
        cls.member, = session.get('keystone', '/roles?name=member')['roles']
        session.request('PUT', 'keystone', cls.role + cls.member['id'])

    def setUp(self):
        super().setUp()
        self.variables |= {'OS_USERNAME': 'alice', 'OS_PASSWORD': _PASSWORD,
                           'OS_PROJECT_NAME': 'acme'}

    def describe(self):
        return f'''
connect:
  poll_interval: 0.1
run:
  report_dir: {self.report}
'''

    def test_mistakes(self):
        """Each is one line, before anything is made."""
        self.assertIn('authentication as alice failed',
                      self.mistake('--check', OS_PASSWORD='wrong'))
        for name in 'OS_USERNAME', 'OS_PASSWORD', 'OS_PROJECT_NAME':
            self.variables[name] = self.local.environment[name]
        self.assertIn('admin has the role admin in project admin; name a '
                      'user with the role member only',
                      self.mistake('--check'))
        del self.variables['OS_AUTH_URL']
        self.assertIn('set connect.cloud, or OS_AUTH_URL',
                      self.mistake('--check'))
        for key in ('connect.database_url=sqlite:////x', 'driver.class=x.Y',
                    'run.concurrency=2'):
            self.assertIn(f'{key.partition("=")[0]} is set, and',
                          self.mistake('--set', key))
        self.assertEqual([], self.left())

    def test_check(self):
        code, out, err = self.certify('--check')
        self.assertEqual((0, ''), (code, err))
        self.assertIn('authenticated as alice\nbackups of project acme are '
                      'listed, 0 of them\n', out)

    def test_room(self):
        """A quota that is too small for the tests fails none of them."""
        session = identity.Session(self.local.state)

        def limit(backups):
            session.request('PUT', 'cinder', f'/os-quota-sets/{self.project}',
                            json={'quota_set': {'backups': backups}})

        self.addCleanup(limit, 10)
        limit(8)
        self.assertIn('has room for 8 more backups, and the tests need 9: '
                      'delete some, ask for more, or set can.long_chains to '
                      'false', self.mistake('--check'))
        for backups in 9, -1:
            limit(backups)
            code, _, err = self.certify('--check')
            self.assertEqual((0, ''), (code, err))
        limit(2)
        self.assertIn('has room for 2 more backups, and the tests need 3',
                      self.mistake('--set', 'can.long_chains=false'))

    def test_encrypted(self):
        """Read in clear with the user's own rights, keys included."""
        code, out, err = self.certify(
            '--regex', r'\.TenantEncryptedTest\.',
            *(word for key, value in {
                'can.encrypted_volumes': 'true',
                'connect.encrypted_volume_type': 'luks',
                'connect.content_access': 'attachment',
                'connect.connector_properties': 'basic'}.items()
              for word in ('--set', f'{key}={value}')))
        self.assertEqual((2, ''), (code, err), out)
        self.assertEqual(['pass', 'pass'], [
            test['status'] for test in self.document()['tests']], out)
        self.assertEqual([], self.left())
        self.assertNotIn('encrypted_volumes', self.document()['denied'])

    def test_quick(self):
        """One restore, by the image service, and nothing is left of it."""
        code, out, err = self.certify('--mode', 'quick')
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn('not tried: record, recovery, verified, portable', out)
        self.assertIn(f'pass  {_ONE}', out)
        self.assertEqual(['encrypted_volumes'], self.document()['denied'])
        self.assertEqual([], self.left())
        for path in self.report.rglob('*'):
            if path.is_file():
                self.assertNotIn(_PASSWORD.encode(), path.read_bytes(), path)

    @testtools.skipUnless(shutil.which('qemu-img'), 'it is not installed')
    def test_images_without_holes(self):
        """Cinder converts them both ways, by qemu-img."""
        code, out, err = self.certify('--regex', _ONE, '--set',
                                      'connect.image_format=qcow2')
        self.assertEqual((2, ''), (code, err), out)
        self.assertEqual(['pass'], [test['status'] for test in
                                    self.document()['tests']])
        self.assertEqual([], self.left())

    def test_after_a_kill(self):
        """The next run removes what a killed one has made."""
        process = self.begin('--regex', r'\.TenantFullTest\.')
        workers = self.suspend(process)
        process.kill()
        process.wait()
        self.kill(workers)
        self.assertNotEqual([], self.left())
        shutil.rmtree(self.temporary)
        self.temporary.mkdir()
        code, out, err = self.certify('--regex', _ONE)
        self.assertEqual((2, ''), (code, err), out)
        self.assertIn('what an earlier run has left is removed:', out)
        self.assertEqual(['pass'], [test['status'] for test in
                                    self.document()['tests']])
        self.assertEqual([], self.left())
