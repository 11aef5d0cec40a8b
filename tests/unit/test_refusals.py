# SPDX-License-Identifier: Apache-2.0

import json
from unittest import mock

from tempest.lib import exceptions as lib_exc
from tempest.lib.common import rest_client
import testtools
import urllib3

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.api import bad_records
from cinder_backup_recovery_tests.api import refusals
from cinder_backup_recovery_tests.rows import base as rows_base

_HTML = 'text/html; charset=iso-8859-1'
_JSON = 'application/json'


class Answer(dict):
    """An answer, as Tempest's clients hand it on."""

    def __init__(self, status, content_type, of_cinder):
        super().__init__({'content-type': content_type})
        if of_cinder:
            self['x-openstack-request-id'] = 'req-1'
        self.status = status


def raised(status, content_type=_HTML, of_cinder=False):
    """The exception that Tempest's clients raise for an answer."""
    client = rest_client.RestClient(mock.Mock(), 'volume', 'region')
    body = (json.dumps({'computeFault': {'message': 'm', 'code': status}})
            if content_type == _JSON else '<html>m</html>')
    try:
        client._error_checker(Answer(status, content_type, of_cinder), body)
    except lib_exc.RestClientException as exc:
        return exc
    raise AssertionError(f'{status} is no error')


class RefusalsTest(testtools.TestCase):
    """Beside tests.functional.test_web_servers, which has real answers."""

    def test_by_web_server(self):
        for status in (400, 413, 502, 503):
            for content_type in (_HTML, 'text/html', 'text/plain'):
                self.assertTrue(refusals.by_web_server(
                    raised(status, content_type)), (status, content_type))
        self.assertTrue(refusals.by_web_server(
            urllib3.exceptions.ProtocolError('Connection aborted.')))

    def test_not_by_web_server(self):
        for answer in ((413, _JSON, True), (503, _JSON, True),
                       # A gateway in JSON may be Cinder's own middleware.
                       (503, _JSON, False), (400, _HTML, True),
                       (503, _HTML, True), (500, _HTML, False),
                       (504, _HTML, False), (404, _HTML, False)):
            self.assertFalse(refusals.by_web_server(raised(*answer)), answer)

    def test_refused_by_cinder(self):
        refusals.check(raised(400, _JSON, True), 'it')
        # Also where something has taken the id out of it.
        refusals.check(raised(400, _JSON, False), 'it')
        refusals.check(raised(413, _JSON, True), 'it', over_quota=True)

    def test_not_refused_by_cinder(self):
        for answer, error in (
                ((500, _JSON, True), refusals.BrokeCinder),
                ((413, _JSON, True), lib_exc.OverLimit),
                ((503, _JSON, True), lib_exc.UnexpectedResponseCode),
                ((504, _HTML, False), lib_exc.UnexpectedContentType)):
            self.assertRaises(error, refusals.check, raised(*answer), 'it')
        for status in (400, 413, 503):
            with testtools.ExpectedException(
                    AssertionError, 'the import of it was not answered by '):
                refusals.check(raised(status), 'it', over_quota=True)


class MalformedTest(testtools.TestCase):
    """Conditions beside the answer of a web server."""

    def run_one(self, exc, large=True, made=(), row=None, after=None):
        """Import one thing that is no record.

        :param exc: what the request raises
        :param made: the backups that there are after it
        :param row: the state of the row of the backup
        :param after: what the next request for a backup raises
        """
        class Imports(bad_records.BadRecordTest):
            backup_id = 'lost'
            neighbour = {'id': 'neighbour'}
            record = mock.Mock()
            rows = mock.Mock()
            cloud = mock.Mock()
            runTest = None

        there = [{'id': 'neighbour'}]
        cloud = Imports.cloud
        cloud.import_record.side_effect = exc
        cloud.backups.list_backups.side_effect = [
            {'backups': there}, {'backups': [*there, *made]},
            {'backups': [*there, *made]}]
        cloud.show.side_effect = after or (lambda kind, one: {'id': one})
        Imports.rows.state.return_value = row
        Imports('runTest').assert_malformed([('junk', 'A')], large)

    def test_refused(self):
        self.run_one(raised(503))
        self.run_one(urllib3.exceptions.ProtocolError('Connection aborted.'))
        self.run_one(raised(413, _JSON, True))
        self.run_one(raised(400, _JSON, True), large=False)

    def test_not_refused(self):
        for answer in ((500, _JSON, True), (503, _JSON, True),
                       (504, _HTML, False)):
            self.assertRaises((refusals.BrokeCinder,
                               lib_exc.OtherRestClientException),
                              self.run_one, raised(*answer))
        self.assertRaises(AssertionError, self.run_one, raised(503),
                          large=False)

    def test_something_was_made(self):
        for trace in ({'made': [{'id': 'new'}]}, {'row': rows_base.LIVE}):
            failed = self.assertRaises(AssertionError, self.run_one,
                                       raised(503), **trace)
            self.assertIn('a refused import', str(failed))

    def test_next_request_is_not_answered(self):
        for error in (raised(503), raised(500, _JSON, True),
                      urllib3.exceptions.ReadTimeoutError(None, 'u', 'm')):
            self.assertRaises(type(error), self.run_one, raised(503),
                              after=error)


class StaysTest(testtools.TestCase):
    """The wait for a backup that stays in creating."""

    def waited(self, *defects, declared=()):
        class Imports(bad_records.BadRecordTest):
            """An import that does not come to its end."""

            cloud = None
            long = 5
            patience = mock.Mock(backup=600)
            runTest = None

            def is_declared(self, defect):
                return defect in declared

        times = []

        def wait(*args, timeout):
            times.append(timeout)
            raise exceptions.WaitTimeout('creating')
        for defect in defects:
            imports = Imports('runTest')
            imports.resources = mock.Mock(wait=wait)
            self.assertRaises(bad_records.NoEnd, imports._settled, 'id',
                              defect)
        return times

    def test_once_for_all(self):
        self.assertEqual([600, 5, 5],
                         self.waited(*3 * [bad_records.STAYS]))
        self.assertEqual([5, 5], self.waited(
            *2 * [bad_records.STAYS], declared=[bad_records.STAYS]))

    def test_nothing_else_is_cut_short(self):
        other = 'import-negative-size'
        self.assertEqual([600, 5, 600, 600], self.waited(
            other, bad_records.STAYS, other, None,
            declared=[other]))
