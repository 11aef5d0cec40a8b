# SPDX-License-Identifier: Apache-2.0

"""The contract, for Swift: real servers, and Keystone's authentication."""

import io
import os
import pathlib
import subprocess
import sys
from unittest import mock
import urllib.parse
import uuid

from cinder import context as cinder_context
from cinder import exception
import requests
import swiftclient
import testtools

from backup_stores import swift as swift_store
from benchmarks import chunks
from local_cloud import fixture
from local_cloud import identity
from local_cloud import remote
from local_cloud import settings
from local_cloud.services import keystone
from local_cloud.services import swift as local_swift
from reference_drivers import verify
from reference_drivers.contract import base
from reference_drivers.contract import trust
from tests import leftovers
from tests import salvage_cases
from tests.functional import swift_rows
from tests.functional import unanswered_cases


class Swift:
    """One Swift and one Keystone for all tests of a class."""

    driver = 'reference_drivers.swift.SwiftBackupDriver'
    chunk_option = 'backup_swift_object_size'
    block_option = 'backup_swift_block_size'
    lists_checksums = True
    many = 200
    # One of its pages has 10,000: see SwiftAnswersTest.
    pages = 20

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud(
            'swift', without=unanswered_cases.WITHOUT)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)
        state = cls.local.state
        cls.options = {
            'backup_swift_enable_progress_timer': False,
            'backup_swift_auth': 'single_user',
            'backup_swift_auth_version': '3',
            'backup_swift_auth_url': settings.url(state, 'keystone') + '/v3',
            'backup_swift_user': settings.ADMIN_USER,
            'backup_swift_key': state.record['passwords'][
                settings.ADMIN_USER],
            'backup_swift_project': settings.ADMIN_PROJECT,
            'backup_swift_user_domain': 'Default',
            'backup_swift_project_domain': 'Default',
        }

    def setUp(self):
        # A container for each test, or each would look at more objects.
        self.options = {**self.options,
                        'backup_swift_container': uuid.uuid4().hex}
        super().setUp()

    def make_objects(self):
        url, token = swiftclient.get_auth(
            self.options['backup_swift_auth_url'],
            self.options['backup_swift_user'],
            self.options['backup_swift_key'], auth_version='3',
            os_options={'project_name': settings.ADMIN_PROJECT,
                        'user_domain_name': 'Default',
                        'project_domain_name': 'Default'})
        session = requests.Session()
        self.addCleanup(session.close)

        def request(method, path, headers, body):
            answer = session.request(
                method, f'{url}/{path}', data=body, timeout=60,
                headers={**headers, 'X-Auth-Token': token})
            return answer.status_code, answer.headers, answer.content

        return swift_store.SwiftStore(request)


class SwiftTest(Swift, trust.TrustContract, testtools.TestCase):
    pass


class SwiftAnswersTest(Swift, unanswered_cases.Unanswered,
                       leftovers.Scanned, salvage_cases.Salvaged):
    """The number of requests to Swift, and a Swift that does not answer."""

    backend = 'swift'

    def setUp(self):
        super().setUp()
        self.cinder.configure(backup_compression_algorithm='none')

    def _per_user(self):
        """Return a user of a project that has an account."""
        session = identity.Session(self.local.state)
        self.cinder.configure(
            backup_swift_auth='per_user',
            backup_swift_url=settings.url(
                self.local.state, local_swift.Swift.name) + '/v1/AUTH_')
        return {'auth_token': session.token,
                'project_id': session.project_id}

    def test_deleted_by_another_project(self):
        """It is refused: all that is stored would be left, and forgotten."""
        backup, = self.chain(base.text(self.chunk))
        place = self.objects.locate(backup)
        for name, value in self._per_user().items():
            setattr(self.cinder.context, name, value)
        self.assertRaises(exception.InvalidBackup, self.cinder.delete,
                          backup.id)
        row = self.cinder.backup(backup.id)
        self.assertEqual('error', row.status)
        self.assertIn(f'account of project {row.project_id}', row.fail_reason)
        self.assertNotEqual([], self.objects.list(*place))
        row.project_id = self.cinder.context.project_id
        row.save()
        self.cinder.delete(backup.id)
        self.assertEqual([], self.objects.list(*place))

    def _verify(self, backup, **context):
        """The program's output about one backup."""
        asking = cinder_context.get_admin_context()
        for name, value in context.items():
            setattr(asking, name, value)
        driver = verify.open_driver(self.driver, asking)
        out = io.StringIO()
        verify.Command(
            verify.parser().parse_args([backup.id, '--level', 'content']),
            driver, asking, out, io.StringIO()).run()
        return out.getvalue()

    def test_verified_outside_of_a_request(self):
        """Of which a driver has no user and no token."""
        backup, = self.chain(base.text(2 * self.chunk))
        self.assertEqual(f'{backup.id} good\n', self._verify(backup))
        user = self._per_user()
        refused = self.assertRaises(exception.InvalidInput, self._verify,
                                    backup)
        self.assertIn('--os-token', str(refused))
        # It is there, but this user does not see it.
        said = self._verify(backup, **user)
        self.assertIn(f'{backup.id} NOT VERIFIED\n', said)
        self.assertIn(f'the account of project {backup.project_id}', said)
        backup.project_id = user['project_id']
        backup.save()
        self.assertEqual(f'{backup.id} good\n',
                         self._verify(backup, **user))

    def test_swift_hangs(self):
        """An error within the time-out; undone, all is well."""
        self.assert_unanswered(self.hanging, local_swift.Swift.name,
                               'did not answer')

    def test_keystone_hangs(self):
        """A request to Swift needs a token of Keystone first."""
        # The client asks only once, with the same time-out as the driver's:
        # either is the first to say so.
        self.assert_unanswered(self.hanging, keystone.Keystone.name,
                               'did not answer', 'timed out')

    def test_swift_is_stopped(self):
        """The client asks again and again, until the time is over."""
        self.assert_unanswered(self.stopped, local_swift.Swift.name,
                               'did not answer')

    def _many(self, count):
        """A backup of many chunks, of which one was uploaded."""
        backup = chunks.create_small_backup(self.cinder, count)
        read, write = (
            lambda end: self.objects.read(backup.container,
                                          backup.service_metadata + end),
            lambda end, data: self.objects.write(
                backup.container, backup.service_metadata + end, data))
        entry = self.objects.contents(backup.container)[
            f'{backup.service_metadata}-00001']
        # Swift's code is made for eventlet, and Cinder's here is not. An older
        # Cinder has a virtualenv without Swift.
        program = os.environ.get(remote.ENVIRONMENT)
        subprocess.run(
            [pathlib.Path(program).with_name('python') if program else
             sys.executable, '-m', swift_rows.__name__,
             self.local.state.data / 'swift', backup.container,
             backup.service_metadata, *map(str, (count, *entry))],
            check=True)
        for end, data in chunks.described(
                backup.service_metadata, count, read('_metadata'),
                read('_sha256file')).items():
            write(end, data)
        return backup

    def _requests(self, backup):
        """The requests of a verification, pages of a listing apart."""
        pages, others = [], []
        real = requests.Session.request

        def request(session, method, url, **kwargs):
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
            (pages if method == 'GET' and 'prefix' in query else
             others).append(f'{method} {url}')
            return real(session, method, url, **kwargs)

        with mock.patch.object(requests.Session, 'request', request):
            # As for each import: with a connection and a token of its own.
            report = self.cinder.driver().verify(backup, 'presence')
        self.assertEqual([], report.problems)
        self.assertEqual(backup.object_count, len(report.chain[0].chunks))
        return len(pages), others

    def test_requests_do_not_grow_with_the_chunks(self):
        """But for the pages of the listing."""
        self.cinder.configure(backup_compression_algorithm='zlib',
                              backup_swift_object_size=chunks.results.BLOCK)
        # With metadata and checksums a page is full at 9,998 chunks. The last
        # page is empty.
        for count, wanted in ((10, 2), (9_998, 2), (9_999, 3)):
            self.cinder.configure(backup_swift_container=uuid.uuid4().hex)
            pages, others = self._requests(self._many(count))
            self.assertEqual(wanted, pages)
            # A token, the metadata and the checksums.
            self.assertEqual(3, len(others), others)
