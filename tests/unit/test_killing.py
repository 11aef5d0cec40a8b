# SPDX-License-Identifier: Apache-2.0
"""A kill that must meet a request, by chance or while it is held."""

import contextlib
import threading
from unittest import mock

from tempest.lib import exceptions as lib_exc
import testtools
import urllib3

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import steps
from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.cloud import waiters
from cinder_backup_recovery_tests.scenario import killing


def make_killer(hold=None):
    """Make what kills, with a service that notes what happens to it."""
    class Killer(killing.KillingScenario):
        def runTest(self):
            """Nothing: only its methods are tested."""

    killer = Killer('runTest')
    killer.story = steps.Story()
    killer.service = mock.Mock()
    killer.hold = hold
    killer.full = mock.Mock(backup_id='the-backup')
    killer.patience = waiters.Patience(backup=30)
    return killer


class HoldStub:
    """Notes when a request is held; :class:`services.RequestHold` is real."""

    def __init__(self, events, arrived=True):
        self.events = events
        self._arrived = arrived

    @contextlib.contextmanager
    def at(self, point, backup_id):
        self.events.append(f'arm {point} {backup_id}')
        yield services.HeldRequests(self, point, backup_id)
        self.events.append('release')

    def count(self, point, backup_id):
        self.events.append('arrived')
        return int(self._arrived)


class CrashDuringTest(testtools.TestCase):
    def crash(self, killer, request, once=None):
        return killer.crash_during(services.IMPORT, once, [request])

    def until_killed(self, error=None):
        def request(killed):
            killed.wait(30)
            if error:
                raise error
        return request

    def test_answered(self):
        killer = make_killer()
        self.assertFalse(self.crash(killer, self.until_killed()))
        self.assertEqual(['kill', 'start'],
                         [call[0] for call in killer.service.mock_calls])

    def test_no_answer(self):
        for error in (urllib3.exceptions.ProtocolError('it is gone'),
                      lib_exc.ServerFault('it is gone')):
            self.assertTrue(self.crash(make_killer(),
                                       self.until_killed(error)))

    def test_error_of_the_test(self):
        self.assertRaises(
            exceptions.RowsMismatch, self.crash, make_killer(),
            self.until_killed(exceptions.RowsMismatch('two rows')))

    def test_killed_while_it_is_held(self):
        events = []
        killer = make_killer(HoldStub(events))
        sent = threading.Event()
        killer.service.kill.side_effect = lambda: events.append('kill')
        killer.service.start.side_effect = lambda: events.append('start')
        self.assertTrue(self.crash(killer, None, sent.set))
        self.assertTrue(sent.is_set())
        # What is sent after the start must not be held.
        self.assertEqual(['arm import the-backup', 'arrived', 'kill',
                          'release', 'start'], events)

    def test_nothing_is_held(self):
        killer = make_killer(HoldStub([], arrived=False))
        killer.patience = waiters.Patience(backup=0.1)
        self.assertRaises(exceptions.MomentMissed, self.crash, killer, None,
                          lambda: None)
        killer.service.kill.assert_not_called()


class UntilInterruptedTest(testtools.TestCase):
    def test_some_kills_miss(self):
        attempt = mock.Mock(side_effect=[False, False, True])
        make_killer().until_interrupted('import', attempt)
        self.assertEqual(3, attempt.call_count)

    def test_all_kills_miss(self):
        attempt = mock.Mock(return_value=False)
        error = self.assertRaises(
            exceptions.MomentMissed, make_killer().until_interrupted,
            'import', attempt)
        self.assertEqual(killing.TRIES, attempt.call_count)
        self.assertIn('never during the import', str(error))
        self.assertIn('request_hold_command', str(error))
