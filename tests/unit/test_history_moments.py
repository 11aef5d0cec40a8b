# SPDX-License-Identifier: Apache-2.0
"""The order in which requests of a history meet; on clouds the suite does it.
"""

import contextlib
import tempfile
import threading
from unittest import mock

import testtools

from backup_model import engine as engines
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests import steps
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger as resource_ledger
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.scenario import history_moments

BACKUP = '5d6a0c1e-93b7-4b9b-b0bb-6a4d1de07f2b'
VOLUME = 'b5c8ee6c-43b5-4bf5-8ea2-1a4bb6ad6ef2'


class _Held:
    def __init__(self, hold, key):
        self._hold, self._key = hold, key

    @property
    def number(self):
        return len(self._hold.places.get(self._key, ()))

    def arrived(self, number, timeout):
        return self.number >= number

    def release_first(self):
        self._hold.events.append(f'next {self._key[0]}')
        self._hold.places[self._key].pop(0).set()


class _Hold:
    """Holds requests in this process."""

    def __init__(self):
        self.places = {}
        self.events = []

    @contextlib.contextmanager
    def at(self, point, held_by):
        key = point, held_by
        self.places[key] = []
        try:
            yield _Held(self, key)
        finally:
            self.events.append(f'release {point}')
            for one in self.places.pop(key):
                one.set()

    def arrive(self, point, held_by):
        waits = threading.Event()
        if (point, held_by) in self.places:
            self.places[point, held_by].append(waits)
            waits.wait(30)
        self.events.append(f'passes {point}')


class MomentsTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.ledger = resource_ledger.Ledger(directory)
        self.addCleanup(self.ledger.close)
        self.ledger.add(clients.BACKUP, BACKUP)
        self.ledger.add(clients.VOLUME, VOLUME)
        self.hold = _Hold()
        self.busy = set()
        self.threads = []
        self.made = self.moments(self.hold)


    def moments(self, hold):
        return history_moments.Moments(
            hold, self.ledger, waiters.Patience(0.01, 5, 5, 5),
            lambda wanted: self.busy & wanted, steps.Story())

    def serve(self, point, held_by, backup):
        def work():
            self.hold.arrive(point, held_by)
            self.busy.discard(backup)

        self.busy.add(backup)
        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def together(self, request, send):
        answers = self.made.together([request, request], send)
        for thread in self.threads:
            thread.join(30)
        return answers

    def test_both_are_checked_before_either_is_served(self):
        def delete(request):
            self.hold.arrive('delete-request', BACKUP)
            self.serve('delete', BACKUP, BACKUP)
            return engines.Answer(202)

        answers = self.together(
            engines.Request('admin-1', 'DELETE', f'backups/{BACKUP}'), delete)
        self.assertEqual([202, 202], [one.status for one in answers])
        self.assertEqual([
            'release delete-request', *['passes delete-request'] * 2,
            'next delete', 'passes delete', 'release delete',
            'passes delete'], self.hold.events)
        self.assertEqual([], self.made.missed)

    def test_backups_are_held_by_their_volume(self):
        ids = iter(('b1', 'b2'))

        def create(request):
            self.hold.arrive('create-request', VOLUME)
            made = next(ids)
            self.serve('create-data', VOLUME, made)
            return engines.Answer(202, {'backup': {'id': made}})

        self.together(engines.Request(
            'admin-1', 'POST', 'backups',
            {'backup': {'volume_id': VOLUME}}), create)
        self.assertEqual(['next create-data', 'passes create-data'],
                         self.hold.events[3:5])

    def test_one_is_refused(self):
        answers = iter((202, 400))

        def delete(request):
            answer = next(answers)
            if answer == 202:
                self.hold.arrive('delete-request', BACKUP)
            return engines.Answer(answer)

        found = self.together(
            engines.Request('admin-1', 'DELETE', f'backups/{BACKUP}'), delete)
        self.assertEqual({202, 400}, {one.status for one in found})
        self.assertNotIn('next delete', self.hold.events)
        self.assertEqual([], self.made.missed)

    def test_none_comes_to_its_point(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def delete(request):
            go_on.wait(30)
            return engines.Answer(202)

        with mock.patch.object(history_moments, '_ARRIVAL', 0.1), \
                mock.patch.object(self.hold, 'at', wraps=self.hold.at) as at:
            # It is let go when the hold in the service begins.
            at.side_effect = lambda point, held_by: (
                go_on.set() if point == 'delete' else None) or mock.DEFAULT
            self.together(engines.Request(
                'admin-1', 'DELETE', f'backups/{BACKUP}'), delete)
        self.assertIn('no request has come', self.made.missed[0])

    def test_cloud_that_holds_nothing(self):
        self.made = self.moments(None)
        self.assertEqual([202, 202], [one.status for one in self.together(
            engines.Request('admin-1', 'DELETE', f'backups/{BACKUP}'),
            lambda request: engines.Answer(202))])

    def test_others_are_not_held(self):
        foreign = backup_record.BackupRecord('driver', backup_record.encode(
            {'id': 'ffffffff-ffff-4fff-8fff-ffffffffffff'}))
        for method, path, body in (
                ('POST', f'backups/{BACKUP}/action', {}),
                ('PUT', f'backups/{BACKUP}', {}),
                ('DELETE', 'backups/ffffffff-ffff-4fff-8fff-ffffffffffff',
                 None),
                ('POST', 'backups/import_record',
                 {'backup-record': foreign.to_api()})):
            self.together(engines.Request('admin-1', method, path, body),
                          lambda request: engines.Answer(202))
        self.assertEqual([], self.hold.events)

    def killed(self, after):
        request = engines.Request('admin-1', 'DELETE', f'backups/{BACKUP}')
        with self.made.killing(request, after) as wait:
            self.serve('delete-quota' if after else 'delete', BACKUP, BACKUP)
            wait(engines.Answer(202))
            self.hold.events.append('killed')
        self.made.killed()
        for thread in self.threads:
            thread.join(30)

    def test_dies_before_its_work(self):
        self.killed(0)
        self.assertEqual(['killed', 'release delete', 'passes delete'],
                         self.hold.events)

    def test_dies_late(self):
        self.killed(5)
        self.assertEqual('release delete-quota', self.hold.events[1])
        self.assertEqual([], self.made.missed)

    def test_ends_before_the_kill(self):
        with self.made.killing(engines.Request(
                'admin-1', 'DELETE', f'backups/{BACKUP}'), 0) as wait:
            wait(engines.Answer(202))
        self.assertEqual(['the request has ended before the kill'],
                         self.made.missed)
