# SPDX-License-Identifier: Apache-2.0

"""The suite through the web servers that stand before Cinder in a cloud."""


from tempest.lib import auth
from tempest.lib.services.volume.v3 import backups_client
import testtools

from cinder_backup_recovery_tests.api import refusals
from local_cloud import fixture
from local_cloud import settings
from local_cloud.services import rabbitmq
from tests import cloud_cases
from tests import web_servers

_BAD = 'cinder_backup_recovery_tests.api.test_bad_records.BadRecordTest.test_'
_SUITE = [_BAD + name for name in (
    'not_a_record', 'deep_json', 'junk_of_a_mebibyte', 'truncated',
    'bit_flipped_in_structure', 'wrong_type_of_ignored',
    'wrong_driver_info')]
_LARGE = 'A' * (1 << 20)


class WebServersTest(testtools.TestCase):
    """One cloud for all of these, and one uWSGI with its API."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for kind in (web_servers.CinderOnUwsgi, web_servers.Apache,
                     web_servers.Nginx):
            kind.program()
        if lacking := rabbitmq.SOFTWARE.missing():
            web_servers.unavailable(lacking)
        cls.local = fixture.LocalCloud(bus='rabbitmq')
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)
        cls.uwsgi = web_servers.CinderOnUwsgi(cls.local.state, http=True)
        cls.uwsgi.setUp()
        cls.addClassCleanup(cls.uwsgi.cleanUp)

    def test_suite_behind_apache(self):
        apache = self.useFixture(web_servers.Apache(self.uwsgi.socket))
        self.useFixture(
            web_servers.Endpoint(self.local.state, apache.url))
        code, text = cloud_cases.recover(self.local, *_SUITE)
        self.assertEqual(0, code, text)
        self.assertIn(f'Ran {len(_SUITE)} tests', text)
        self.assertNotIn('skip', text)
        # Cinder has said 413, but not to the client.
        self.assertEqual(2, apache.answered().count(503))

    def answer(self, url):
        """The exception that the suite's clients raise for an import."""
        environment = self.local.environment
        account = auth.KeystoneV3Credentials(
            username=environment['OS_USERNAME'],
            password=environment['OS_PASSWORD'],
            project_name=environment['OS_PROJECT_NAME'],
            user_domain_name='Default', project_domain_name='Default')
        client = backups_client.BackupsClient(
            auth.KeystoneV3AuthProvider(account,
                                        environment['OS_AUTH_URL']),
            'block-storage', settings.REGION)
        return self.assertRaises(
            refusals.ERRORS, client.import_backup,
            backup_service='cinder.backup.drivers.none', backup_url=url)

    def assert_answers(self, server, *, by_itself):
        """Import what is large, and what is small, through a server.

        :param by_itself: whether it answers the first itself
        """
        with web_servers.Endpoint(self.local.state, server.url):
            large, small = self.answer(_LARGE), self.answer('junk')
        if by_itself:
            self.assertRaises(AssertionError, refusals.check, large, 'A')
            self.assertTrue(refusals.by_web_server(large), large)
        elif not refusals.by_web_server(large):
            # It got Cinder's, before it noticed that no server listens.
            refusals.check(large, 'A', over_quota=True)
        # What is small is for Cinder to refuse.
        refusals.check(small, 'junk')

    def test_answers(self):
        for server, by_itself in (
                (web_servers.Apache(self.uwsgi.socket), True),
                (web_servers.Nginx(self.uwsgi.socket), True),
                (web_servers.Nginx(self.uwsgi.socket, limit=0), False)):
            with server:
                self.assert_answers(server, by_itself=by_itself)

    def test_broken_connection(self):
        self.assert_answers(self.uwsgi, by_itself=False)
