# SPDX-License-Identifier: Apache-2.0

"""Servers of a local cloud that do not answer a driver."""

import contextlib
import time

from cinder import exception

from local_cloud.machine import daemons
from reference_drivers import options
from reference_drivers.contract import base
from reference_drivers.verification import threads

# Services that such a cloud does not have.
WITHOUT = ('cinder-volume', 'cinder-backup')


class Unanswered:
    """Imports and restores end within the time-out; undone, all is well.

    :cvar backend: of the local cloud
    """

    backend = ''
    timeout = 3

    def _ends(self, begin):
        # Of a machine that is shared; without a limit it does not end.
        self.assertLess(time.monotonic() - begin, 20 * self.timeout)

    @contextlib.contextmanager
    def hanging(self, name):
        """A server that keeps its port open and answers nothing."""
        process = daemons.alive(self.local.state, name)
        daemons.suspend(process)
        try:
            yield
        finally:
            process.resume()

    @contextlib.contextmanager
    def stopped(self, name):
        """A server that refuses connections."""
        self.local.cloud.stop(name)
        try:
            yield
        finally:
            self.local.cloud.up(self.backend, without=WITHOUT)

    def assert_unanswered(self, broken, name, *reasons):
        """Import and restore a backup while a server does not answer.

        :param reasons: of which an import must have one
        """
        content = base.text(2 * self.chunk)
        backup, = self.chain(content)
        record = self.cinder.export(backup)
        self.cinder.lose_row(backup.id)
        self.cinder.configure(**{f'{options.GROUP}__timeout': self.timeout})
        for level in ('presence', 'content'):
            self.cinder.configure(**{f'{options.GROUP}__level': level})
            begin = time.monotonic()
            with broken(name):
                self.assertRaises(exception.InvalidBackup,
                                  self.cinder.import_record, record)
                self._ends(begin)
            row = self.cinder.backup(backup.id)
            self.assertEqual('error', row.status)
            self.assertTrue(any(one in row.fail_reason for one in reasons),
                            row.fail_reason)
            self.cinder.lose_row(backup.id)
        self.assertEqual('available',
                         self.cinder.import_record(record).status)
        begin = time.monotonic()
        with broken(name):
            self.assertRaises(exception.InvalidBackup, self.cinder.restore,
                              backup.id)
            self._ends(begin)
        self.assert_restores(backup, content)
        self.assert_nothing_is_asked()

    def assert_nothing_is_asked(self):
        """Abandoned requests end when the store answers again.

        The client waits between one attempt and the next. On eventlet Python
        may crash when it ends while another thread does that.
        """
        deadline = time.monotonic() + 600
        while len(threads._workers) > len(threads._idle):
            self.assertLess(time.monotonic(), deadline,
                            'requests that were left behind do not end')
            time.sleep(0.1)
