# SPDX-License-Identifier: Apache-2.0

"""Requests of the Swift driver, to a connection in memory."""

import hashlib
import os
import time
from unittest import mock

import testtools

from reference_drivers import swift
from reference_drivers.contract import environment
from reference_drivers.verification import errors
from reference_drivers.verification import verifier

POSIX = 'cinder.backup.drivers.posix.PosixBackupDriver'
BLOCK = 32768
CHUNK = 4 * BLOCK


class NotFound(Exception):
    """As swiftclient's ClientException."""

    http_status = 404


class Connection:
    """Just what the store calls of ``swiftclient.client.Connection``."""

    def __init__(self):
        self.containers = {'volumebackups': {}}
        self.requests = []
        self.page = 3
        self.closed = []

    def get_account(self, marker='', limit=None, headers=None):
        return {}, [{'name': one} for one in sorted(self.containers)
                    if one > marker]

    def get_container(self, container, marker='', limit=None, prefix='',
                      delimiter=None, headers=None):
        self.requests.append(('list', container, prefix, marker, limit))
        if container not in self.containers:
            raise NotFound()
        page = []
        for name, data in sorted(self.containers[container].items()):
            if not name.startswith(prefix):
                continue
            one = {'name': name, 'bytes': len(data),
                   'hash': hashlib.md5(data).hexdigest()}
            if delimiter and delimiter in name[len(prefix):]:
                end = name.index(delimiter, len(prefix)) + 1
                one = {'subdir': name[:end]}
            if next(iter(one.values())) > marker and one not in page:
                page.append(one)
        return {}, page[:min(limit, self.page)]

    def get_object(self, container, name, resp_chunk_size=None,
                   headers=None):
        self.requests.append(('get', container, name))
        data = self.containers.get(container, {}).get(name)
        if data is None:
            raise NotFound()
        return {}, iter([data[:7], data[7:]])

    def close(self):
        self.closed.append(self)


class Driver:
    """A driver of the Swift store, without Swift's client."""

    backup_default_container = 'volumebackups'
    context = None

    def __init__(self, connection):
        self.conn = connection

    @staticmethod
    def _headers():
        return {'X-Service-Token': 'x'}


class SwiftStoreTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.cinder = environment.Environment(POSIX, {
            'backup_file_size': CHUNK, 'backup_enable_progress_timer': False,
            'backup_compression_algorithm': 'none'})
        self.useFixture(self.cinder)
        self.connection = Connection()
        self.objects = self.connection.containers['volumebackups']
        self.store = swift.SwiftStore(Driver(self.connection))

    def backup(self, content, volume=None, parent=None):
        """A backup as Cinder makes it, moved to Swift's names."""
        volume = volume or self.cinder.create_volume()
        self.cinder.write_volume(volume.id, content)
        backup = self.cinder.create_backup(volume, parent)
        old = backup.service_metadata
        prefix = (f'volume_{volume.id}/20260101000000/'
                  f'az_nova_backup_{backup.id}')
        directory = os.path.join(self.cinder.directory, 'backup',
                                 backup.container)
        for name in os.listdir(directory):
            with open(os.path.join(directory, name), 'rb') as stream:
                self.objects[name.replace(old, prefix)] = (
                    stream.read().replace(old.encode(), prefix.encode()))
        return volume, backup, prefix

    def verify(self, backup, prefix, level='presence', **kwargs):
        self.connection.requests.clear()
        return verifier.Verifier(self.store, **kwargs).verify(
            verifier.Target(backup.id, 'volumebackups', prefix), level)

    def test_requests_depend_on_the_pages_only(self):
        _, backup, prefix = self.backup(os.urandom(10 * CHUNK))
        for page, listings in ((3, 5), (100, 2), (10000, 2)):
            self.connection.page = page
            self.assertTrue(self.verify(backup, prefix).ok)
            kinds = [one[0] for one in self.connection.requests]
            self.assertEqual(2, kinds.count('get'))
            self.assertEqual(listings, kinds.count('list'))

    def test_content(self):
        _, backup, prefix = self.backup(os.urandom(3 * CHUNK))
        report = self.verify(backup, prefix, 'content')
        self.assertTrue(report.ok)
        self.assertEqual(3 * CHUNK, report.read)
        # A reader closes when it has nothing more to read, which is after
        # its last chunk was told of.
        deadline = time.monotonic() + 60
        while len(self.connection.closed) < 2:
            self.assertLess(time.monotonic(), deadline,
                            'a reader has not closed its connection')
            time.sleep(0.01)
        self.assertEqual(2, len(self.connection.closed))
        self.assertNotIn(self.connection, self.connection.closed)

    def test_listing_tells_swapped_chunks(self):
        # By the MD5 in the listing, at level presence.
        _, backup, prefix = self.backup(os.urandom(3 * CHUNK))
        one, two = prefix + '-00001', prefix + '-00002'
        self.objects[one], self.objects[two] = (self.objects[two],
                                                self.objects[one])
        report = self.verify(backup, prefix)
        self.assertEqual([errors.WrongContent],
                         [type(problem) for problem in report.problems])
        self.assertEqual(one, report.problems[0].name)

    def test_missing(self):
        _, backup, prefix = self.backup(os.urandom(2 * CHUNK))
        data = self.objects.pop(prefix + '-00002')
        self.assertIn('-00002 is missing',
                      str(self.verify(backup, prefix).problems[0]))
        self.objects[prefix + '-00002'] = data
        del self.connection.containers['volumebackups']
        self.assertIn('container volumebackups is missing',
                      str(self.verify(backup, prefix).problems[0]))

    def test_object_that_is_gone_after_the_listing(self):
        _, backup, prefix = self.backup(os.urandom(2 * CHUNK))
        real = self.connection.get_object

        def gone(container, name, **kwargs):
            if name.endswith('-00002'):
                raise NotFound()
            return real(container, name, **kwargs)

        self.connection.get_object = gone
        report = self.verify(backup, prefix, 'content')
        self.assertEqual([errors.Missing],
                         [type(one) for one in report.problems])

    def test_parent_is_found_by_its_id(self):
        content = os.urandom(6 * CHUNK)
        volume, full, _ = self.backup(content)
        for _ in range(4):
            self.backup(os.urandom(CHUNK))
        _, child, prefix = self.backup(content[:-1] + b'?', volume, full)
        report = self.verify(child, prefix, 'content')
        self.assertEqual([], report.problems)
        self.assertEqual([child.id, full.id],
                         [link.backup_id for link in report.chain])

    def test_locate(self):
        known = [self.backup(os.urandom(4 * CHUNK)) for _ in range(5)]
        for volume, backup, prefix in known:
            for volume_id in (None, volume.id):
                self.assertEqual(('volumebackups', prefix),
                                 self.store.locate(backup.id, volume_id))
        self.assertIsNone(self.store.locate(known[0][0].id))

    def test_locate_in_a_container_of_a_user(self):
        volume, backup, prefix = self.backup(os.urandom(CHUNK))
        objects = self.connection.containers['volumebackups']
        self.connection.containers['another'] = dict(objects)
        objects.clear()
        for volume_id in (None, volume.id):
            self.assertEqual(('another', prefix),
                             self.store.locate(backup.id, volume_id))

    def test_url(self):
        self.assertEqual('swift://volumebackups/volume_1/2/az%20x_backup_3',
                         self.store.url('volumebackups',
                                        'volume_1/2/az x_backup_3'))


class SwiftReaderTest(testtools.TestCase):

    def test_one_more_reader_makes_no_driver(self):
        """It is made in a native thread, also where Cinder is on eventlet.

        There Cinder's constructor would wait without an end for locks of the
        database's connections, and with it all of cinder-backup.
        """
        cinder = self.useFixture(environment.Environment(
            'reference_drivers.swift.SwiftBackupDriver',
            {'backup_swift_url': 'http://127.0.0.1:1/v1/AUTH_'}))
        store = cinder.driver().get_store()
        store.driver.conn.token = 'a token'
        store.driver.conn.http_conn = 'in use'
        with mock.patch('cinder.db.base.Base.__init__',
                        side_effect=AssertionError('a driver is made')):
            other = store.clone()
        self.assertIs(None, other.driver.conn.http_conn)
        self.assertEqual('in use', store.driver.conn.http_conn)
        self.assertEqual('a token', other.driver.conn.token)
        self.assertEqual(store.driver.conn.timeout, other.driver.conn.timeout)
