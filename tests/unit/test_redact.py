# SPDX-License-Identifier: Apache-2.0

"""Secrets that are removed from a report, and text that stays."""

import base64
import contextlib
import json
import pathlib
import re
import time

import fixtures
import testtools

from cinder_backup_recovery_tests.certification.report import redact
from reference_drivers.recovery_keys import wrapping
from tests import recovery_keys

SECRET = 'Zq7!x/"y&z'
CONF = '''
[DEFAULT]
# a comment = nothing
transport_url = rabbit://openstack:rab%2Fbit-7@mq:5672/
backup_driver = vendor.Driver
multi = one
multi = two
long = first
    second
debug
[auth]
admin_username = admin
admin_password = Zq7!x/"y&z
[keystone_authtoken]
service_token_roles = service
[cinder_backup_recovery]
database_connection = mysql+pymysql://cinder:sea-cret@db/cinder?charset=utf8
rbd_keyring = /etc/ceph/keyring
note = the password is sea-cret
[vendor]
s3_secret_key = first-of-two
s3_secret_key = second-of-two
empty_password =
use_credentials = true
'''


@contextlib.contextmanager
def cpu_seconds(test, limit):
    """Limit what this thread uses, which does not depend on others."""
    begin = time.thread_time()
    with fixtures.Timeout(50 * limit, gentle=True):
        yield
    test.assertLess(time.thread_time() - begin, limit)


class RedactTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.redact = redact.Redactor()

    def test_names(self):
        for name in ('password', 'OS_PASSWORD', 'admin_password', 'adminPass',
                     'X-Auth-Token', 'memcache_secret_key', 'access_key',
                     'ssl_key_password', 'backup_encryption_key', 'api_key',
                     'S3_ACCESS_KEY_ID', 'swift_hash_path_suffix', 'passwd'):
            self.assertTrue(redact.is_secret(name), name)
        for name in ('username', 'rbd_keyring', 'key_repository',
                     'service_token_roles', 'passive', 'monkey', 'bypass',
                     'password_file', 'backup_driver', 'tokens_per_second'):
            self.assertFalse(redact.is_secret(name), name)

    def test_a_known_one_wherever_it_is(self):
        self.redact.learn(SECRET)
        for text in (SECRET, f'a{SECRET}b', f'http://x/?q={SECRET}',
                     json.dumps({'x': SECRET}), repr([SECRET]),
                     'Zq7%21x/%22y%26z', 'Zq7%21x%2F%22y%26z',
                     'Zq7!x/&quot;y&amp;z'):
            clean = self.redact(f'before {text} after')
            for left in ('Zq7', 'y&z', 'y&amp;z', 'y%26z'):
                self.assertNotIn(left, clean)
            self.assertIn('***', clean)
            self.assertTrue(clean.startswith('before ') and
                            clean.endswith(' after'), clean)

    def test_a_short_one_as_a_word(self):
        self.redact.learn('admin')
        self.assertEqual('an administrator is *** here',
                         self.redact('an administrator is admin here'))

    def test_what_is_none(self):
        for value in ('', 'abc', 'true', 'None', '***'):
            self.redact.learn(value)
        text = 'abc true None *** and nothing else'
        self.assertEqual(text, self.redact(text))

    def test_unknown_ones(self):
        for text, expected in (
                ('mysql+pymysql://cinder:x@db/c', 'mysql+pymysql://cinder:***'
                                                  '@db/c'),
                ('http://u:a@b@host/', 'http://u:***@host/'),
                ('password=abc, next=1', 'password=***, next=1'),
                ('"admin_password": "a b\\"c", "x": 1',
                 '"admin_password": ***, "x": 1'),
                ("{'OS_PASSWORD': 'a b', 'y': 2}",
                 "{'OS_PASSWORD': ***, 'y': 2}"),
                ("'X-Auth-Token': b'gAAA'", "'X-Auth-Token': b***"),
                ('--os-token: 12ab}', '--os-token: ***}'),
                ('Authorization: Basic YTpi\nnext', 'Authorization: ***\n'
                                                    'next'),
                ('the token gAAAAA' + 'b' * 60 + ' is bad', 'the token *** '
                                                            'is bad'),
                ('-----BEGIN RSA PRIVATE KEY-----\nabc\n'
                 '-----END RSA PRIVATE KEY-----\nrest', '***\nrest'),
                ('-----BEGIN PRIVATE KEY-----\ncut off', '***')):
            self.assertEqual(expected, self.redact(text))
            self.assertEqual(expected, self.redact(self.redact(text)))

    def test_wrapped_key(self):
        """Cinder with debug, and Tempest, log records with all that is in.

        Tempest cuts what is long.
        """
        pairs = self.useFixture(recovery_keys.Pairs())
        wrapped = wrapping.wrap(b'k' * 32, 'id', 'proof', [
            wrapping.public_key(pairs.make('one')[1])])
        planted = (wrapped['ciphertext'],
                   wrapped['recipients'][0]['encrypted_key'])
        for start in ('n', 'na', 'nam'):
            fields = {'display_name': start * 99, 'driver_info': {
                'encryption': {'wrapped': wrapped}}, 'size': 1}
            url = base64.b64encode(json.dumps(fields).encode()).decode()
            for text in (f"Body: {{'backup_url': '{url}'}}", url[:900],
                         f'"{url}"', json.dumps(fields), str(fields)):
                shown = self.redact(text)
                self.assertEqual(shown, self.redact(shown))
                # What it has of a record can be read.
                self.assertIn(text[:200], shown)
                shown = shown.replace(redact.MARK, '')
                for part in re.findall(r'ey[A-Za-z0-9+/]{40,}', shown):
                    shown += base64.b64decode(
                        part[:len(part) // 4 * 4]).decode()
                self.assertIn('display_name', shown)
                for secret in planted:
                    self.assertNotIn(secret, shown)
            plain = base64.b64encode(json.dumps(
                {**fields, 'driver_info': {}}).encode()).decode()
            self.assertEqual(plain, self.redact(plain))

    def test_what_stays(self):
        for text in ('http://127.0.0.1:8776/v3/x', 'the token is expired',
                     'keystone_authtoken: section', 'secrets: none',
                     'import backup 1f from its record: failed',
                     '  0.1 s  each of the 1073741824 bytes is the same',
                     'a@b and c:d'):
            self.assertEqual(text, self.redact(text))

    def test_long_texts(self):
        """In a time that grows with their length, and no faster."""
        self.redact.learn(SECRET)
        with cpu_seconds(self, 20):
            for piece in ('A', 'a_', 'a.', '://a:', '://', '-', '[', '"',
                          'password', 'password=', 'a:@', '\\', "='"):
                text = piece * 200000
                self.redact(text + ' ' + text)

    def test_a_file(self):
        found = self.redact.ini(CONF)
        self.assertEqual({
            'DEFAULT': {
                'transport_url': 'rabbit://openstack:***@mq:5672/',
                'backup_driver': 'vendor.Driver', 'multi': 'one\ntwo',
                'long': 'first\nsecond', 'debug': ''},
            'auth': {'admin_username': 'admin', 'admin_password': '***'},
            'keystone_authtoken': {'service_token_roles': 'service'},
            'cinder_backup_recovery': {
                'database_connection':
                    'mysql+pymysql://cinder:***@db/cinder?charset=utf8',
                'rbd_keyring': '/etc/ceph/keyring',
                'note': 'the password is ***'},
            'vendor': {'s3_secret_key': '***', 'empty_password': '',
                       'use_credentials': 'true'},
        }, found)
        for secret in (SECRET, 'rab%2Fbit-7', 'rab/bit-7', 'sea-cret',
                       'first-of-two', 'second-of-two'):
            self.assertEqual('x *** y', self.redact(f'x {secret} y'))

    def test_nested_options(self):
        found = self.redact.mapping({
            'connect': {'password': 'one-of-them', 'retries': 3,
                        'urls': ['http://u:two-of-them@h/', 'plain']},
            'run': {'quick': True, 'nothing': None, 'passwords': 5}})
        self.assertEqual({
            'connect': {'password': '***', 'retries': 3,
                        'urls': ['http://u:***@h/', 'plain']},
            'run': {'quick': True, 'nothing': None, 'passwords': 5}}, found)
        self.assertEqual('*** ***', self.redact('one-of-them two-of-them'))


class PathsTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.redact = redact.Redactor()
        self.redact.shorten({
            '/root': '<home>', '/home/me/venv': '<virtualenv>',
            '/home/me': '<my home>', '/': 'nothing'})

    def test_shortened(self):
        for text, short in (
                ('File "/root/x.py", line 1', 'File "<home>/x.py", line 1'),
                ('sqlite:////root/x', 'sqlite:///<home>/x'),
                ('in /root.', 'in <home>.'),
                ('/home/me/venv/bin/python', '<virtualenv>/bin/python'),
                ('/home/me/x:/home/me', '<my home>/x:<my home>'),
                ('-I/home/me/x', '-I<my home>/x'),
                ('?path=%2Fhome%2Fme%2Fx', '?path=<my home>%2Fx'),
                ('"/opt/of vendor/lib/python3.11/site-packages/a/b.py"',
                 '"/opt/of vendor/lib/python3.11/site-packages/a/b.py"'),
                ('"/srv/v/lib/python3.11/site-packages/a/b.py"',
                 '"site-packages/a/b.py"'),
                ('file:///srv/lib/python3/dist-packages/a',
                 'file:dist-packages/a')):
            self.assertEqual(short, self.redact(text))
            # What is checked again later stays what it was.
            self.assertEqual(short, self.redact(short))

    def test_not_shortened(self):
        for text in ('/rootfs', '/var/root/x', '/dev/root', '/root-2/x',
                     '/root.d', '/home/meg', '/', 'a/b/c',
                     'not-site-packages', '/srv/site-packages-2/x'):
            self.assertEqual(text, self.redact(text))

    def test_only_secrets_for_the_terminal(self):
        self.redact.learn('planted')
        self.assertEqual('/root/***', self.redact.secrets('/root/planted'))

    def test_long_texts_of_slashes(self):
        """A record in base64 must not take minutes."""
        text = 'ab/+cd/' * 20_000
        with cpu_seconds(self, 20):
            self.assertEqual(text, self.redact(text))
            self.redact('/ab' * 40_000)

    def test_places(self):
        found = redact.places()
        self.assertEqual('<home>', found[pathlib.Path.home()])
        self.redact.shorten(found)
        self.assertEqual('site-packages/testtools/__init__.py',
                         self.redact(testtools.__file__))
