# SPDX-License-Identifier: Apache-2.0

"""Reads of the S3 driver, from a client in memory."""

import types

from botocore import exceptions
from cinder.backup.drivers import s3 as cinder_s3
from oslo_config import fixture as config_fixture
import testtools

from reference_drivers import s3
from reference_drivers.verification import store as stores

DATA = bytes(range(256)) * (stores.PIECE // 64)


class Body:
    """Just what the store calls of an answer's body."""

    def __init__(self, data, error):
        self._data = data
        self._error = error
        self.closed = False

    def iter_chunks(self, size):
        for start in range(0, len(self._data), size):
            yield self._data[start:start + size]
        if self._error:
            raise self._error

    def close(self):
        self.closed = True


class Client:
    """One object; each read of it breaks after some bytes, with an error."""

    def __init__(self, *breaks):
        self.breaks = list(breaks)
        self.requests = []
        self.bodies = []

    def get_object(self, **query):
        self.requests.append(query)
        start = int(query.get('Range', 'bytes=0-')[6:-1])
        end, error = self.breaks.pop(0) if self.breaks else (None, None)
        self.bodies.append(Body(DATA[start:end], error))
        return {'Body': self.bodies[-1], 'ETag': '"tag"'}


class PiecesTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.config = self.useFixture(
            config_fixture.Config(cinder_s3.CONF)).config

    def pieces(self, client):
        return s3.S3Store(types.SimpleNamespace(conn=client)).pieces(
            'bucket', 'name')

    def test_read_in_pieces(self):
        client = Client()
        found = list(self.pieces(client))
        self.assertEqual([stores.PIECE] * 4, [len(one) for one in found])
        self.assertEqual(DATA, b''.join(found))
        self.assertEqual([{'Bucket': 'bucket', 'Key': 'name'}],
                         client.requests)
        self.assertTrue(client.bodies[0].closed)

    def test_connection_that_breaks(self):
        """It goes on after what was read, of the very same object."""
        cut = exceptions.ResponseStreamingError(error='reset')
        client = Client((stores.PIECE + 5, cut), (2 * stores.PIECE, cut))
        self.assertEqual(DATA, b''.join(self.pieces(client)))
        self.assertEqual(
            [(None, None), (f'bytes={stores.PIECE + 5}-', '"tag"'),
             (f'bytes={2 * stores.PIECE}-', '"tag"')],
            [(one.get('Range'), one.get('IfMatch'))
             for one in client.requests])
        self.assertTrue(all(body.closed for body in client.bodies))

    def test_connection_that_always_breaks(self):
        self.config(backup_s3_retry_max_attempts=3)
        cut = exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2)
        client = Client(*[(7, cut)] * 9)
        self.assertRaises(exceptions.IncompleteReadError, list,
                          self.pieces(client))
        self.assertEqual(3, len(client.requests))

    def test_key_of_the_customer(self):
        """Without it, the store refuses to decrypt the object."""
        self.config(backup_s3_sse_customer_algorithm='AES256',
                    backup_s3_sse_customer_key='k' * 32)
        client = Client()
        list(self.pieces(client))
        self.assertEqual(
            ('AES256', 'k' * 32),
            (client.requests[0]['SSECustomerAlgorithm'],
             client.requests[0]['SSECustomerKey']))
