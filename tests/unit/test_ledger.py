# SPDX-License-Identifier: Apache-2.0
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from unittest import mock

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import ledger


class LedgerTestCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'deep', 'ledger')
        self.ledger = ledger.Ledger(self.path)
        self.addCleanup(self.ledger.close)
        self.logger = self.useFixture(fixtures.FakeLogger())

    def _files(self):
        return sorted(os.path.join(self.path, name)
                      for name in os.listdir(self.path))

    def _lines(self):
        with open(self._files()[0]) as stream:
            return stream.read().splitlines()

    def _ids(self, **kwargs):
        return [entry.resource_id for entry in self.ledger.entries(**kwargs)]


class EntriesTest(LedgerTestCase):
    def test_nothing_yet(self):
        self.assertEqual([], self.ledger.entries())
        self.assertEqual([], self.ledger.changes())
        self.assertFalse(self.ledger.owns('volume', 'v'))
        self.assertFalse(os.path.exists(self.path))

    def test_intended_then_created(self):
        token = self.ledger.intend('volume', 'name-1', size=1)
        entry, = self.ledger.entries()
        self.assertEqual(
            ('volume', 'name-1', None, {'size': 1}, 'intended'),
            (entry.kind, entry.name, entry.resource_id, entry.details,
             entry.state))
        self.assertFalse(self.ledger.owns('volume', 'name-1'))
        self.ledger.created(token, 'v1')
        entry, = self.ledger.entries()
        self.assertEqual(('name-1', 'v1', 'created'),
                         (entry.name, entry.resource_id, entry.state))
        self.assertTrue(self.ledger.owns('volume', 'v1'))

    def test_abandoned_is_left_out(self):
        self.ledger.abandon(self.ledger.intend('volume', 'name'))
        self.assertEqual([], self.ledger.entries(include_gone=True))

    def test_created_is_not_abandoned(self):
        token = self.ledger.intend('volume', 'name')
        self.ledger.created(token, 'v')
        self.ledger.abandon(token)
        self.assertEqual(['v'], self._ids())

    def test_order_and_kinds(self):
        self.ledger.add('volume', 'v1')
        self.ledger.add('backup', 'b1', 'name', parent=None)
        self.ledger.add('volume', 'v2')
        self.assertEqual(['v1', 'b1', 'v2'], self._ids())
        self.assertEqual(['v1', 'v2'], self._ids(kind='volume'))
        entry, = self.ledger.entries('backup')
        self.assertEqual(('name', {'parent': None}),
                         (entry.name, entry.details))

    def test_gone_stays_owned(self):
        self.ledger.add('backup', 'b')
        self.ledger.gone('backup', 'b')
        self.assertEqual([], self._ids())
        self.assertEqual(['b'], self._ids(include_gone=True))
        self.assertEqual('gone',
                         self.ledger.entries(include_gone=True)[0].state)
        self.assertTrue(self.ledger.owns('backup', 'b'))
        self.ledger.require('backup', ['b'])

    def test_gone_of_another_kind_or_id(self):
        self.ledger.add('backup', 'b')
        self.ledger.gone('volume', 'b')
        self.ledger.gone('backup', 'c')
        self.assertEqual(['b'], self._ids())
        self.assertFalse(self.ledger.owns('backup', 'c'))

    def test_back_after_an_import(self):
        self.ledger.add('backup', 'b')
        self.ledger.gone('backup', 'b')
        self.ledger.add('volume', 'v')
        self.ledger.add('backup', 'b')
        self.assertEqual(['v', 'b'], self._ids())
        self.assertEqual(['v', 'b'], self._ids(include_gone=True))

    def test_added_twice_is_one_resource(self):
        self.ledger.add('backup', 'b')
        self.ledger.add('volume', 'v')
        self.ledger.add('backup', 'b')
        self.assertEqual(['b', 'v'], self._ids())
        self.ledger.gone('backup', 'b')
        self.assertEqual(['v'], self._ids())

    def test_require_names_each_foreign_id(self):
        self.ledger.add('backup', 'b')
        self.ledger.add('volume', 'v')
        err = self.assertRaises(exceptions.NotInLedger, self.ledger.require,
                                'backup', ['b', 'v', 'x'])
        self.assertEqual(f'backup v, x not created by this suite: not in '
                         f'the ledger {self.path}', str(err))

    def test_clock_that_goes_back(self):
        with mock.patch('time.time_ns', side_effect=range(1000, 0, -1)):
            self.ledger.add('volume', 'v1')
            self.ledger.gone('volume', 'v1')
        self.assertEqual([], self._ids())

    def test_answer_of_another_process_with_an_earlier_clock(self):
        token = self.ledger.intend('volume', 'name')
        other = ledger.Ledger(self.path)
        self.addCleanup(other.close)
        with mock.patch('time.time_ns', return_value=5):
            other.created(token, 'v')
        self.assertTrue(self.ledger.owns('volume', 'v'))
        self.assertEqual(['v'], self._ids())


class ChangesTest(LedgerTestCase):
    def test_first_value_is_put_back(self):
        self.ledger.note('quota', 'p/backups', 10, 20)
        self.ledger.note('quota', 'p/gigabytes', 1000, -1)
        self.ledger.note('quota', 'p/backups', 20, 30)
        self.assertEqual([ledger.Change('quota', 'p/backups', 10, 30),
                          ledger.Change('quota', 'p/gigabytes', 1000, -1)],
                         self.ledger.changes())
        self.assertEqual([], self.ledger.changes('other'))

    def test_restored(self):
        self.ledger.note('quota', 'p', 10, 20)
        self.ledger.restored('quota', 'p')
        self.assertEqual([], self.ledger.changes())
        self.ledger.note('quota', 'p', 11, 21)
        self.assertEqual([ledger.Change('quota', 'p', 11, 21)],
                         self.ledger.changes())


class DiskTest(LedgerTestCase):
    def test_synced_before_the_call_returns(self):
        with mock.patch('os.fsync', side_effect=os.fsync) as fsync:
            self.ledger.intend('volume', 'name')
            # The file, its directory and the directory's own entry.
            self.assertEqual(3, fsync.call_count)
            self.ledger.intend('volume', 'name')
            self.assertEqual(4, fsync.call_count)

    def test_only_the_owner_reads(self):
        self.ledger.add('volume', 'v')
        for path, mode in ((self.path, 0o700), (self._files()[0], 0o600)):
            self.assertEqual(mode, stat.S_IMODE(os.stat(path).st_mode))

    def test_two_objects_have_two_files_and_one_content(self):
        other = ledger.Ledger(self.path)
        self.addCleanup(other.close)
        token = self.ledger.intend('volume', 'name')
        other.created(token, 'v')
        other.add('backup', 'b')
        self.assertEqual(2, len(self._files()))
        for one in (self.ledger, other, ledger.Ledger(self.path)):
            self.assertTrue(one.owns('volume', 'v'))
            self.assertEqual(['v', 'b'],
                             [entry.resource_id for entry in one.entries()])

    def test_fork_has_a_file_of_its_own(self):
        self.ledger.add('volume', 'v1')
        pid = os.fork()
        if not pid:
            try:
                self.ledger.add('volume', 'v2')
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        self.ledger.add('volume', 'v3')
        self.assertEqual(['v1', 'v2', 'v3'], self._ids())
        self.assertEqual(2, len(self._files()))

    def test_killed_processes(self):
        program = textwrap.dedent('''
            import sys
            from cinder_backup_recovery_tests.cloud import ledger
            mine = ledger.Ledger(sys.argv[1])
            for number in range(100000):
                mine.add('volume', '%s-%d' % (sys.argv[2], number))
                print(number, flush=True)
            ''')
        children = [subprocess.Popen(
            [sys.executable, '-c', program, self.path, name],
            stdout=subprocess.PIPE, text=True) for name in 'ab']
        confirmed = []
        for name, child in zip('ab', children, strict=True):
            for number in range(20):
                self.assertEqual(f'{number}\n', child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().splitlines()
            child.stdout.close()
            child.wait()
            confirmed += [f'{name}-{number}'
                          for number in range(20 + len(rest))]
        self.ledger.require('volume', confirmed)

    def test_torn_last_line_is_left_out_and_reported(self):
        self.ledger.add('volume', 'v1')
        self.ledger.add('volume', 'v2')
        self.ledger.close()
        self.assertEqual([], self.ledger.torn())
        path, = self._files()
        size = os.path.getsize(path)
        first = len(self._lines()[0]) + 1
        for length in range(size - 1, first, -1):
            os.truncate(path, length)
            self.assertEqual(['v1'], self._ids())
            self.assertEqual([f'{path}:2'], self.ledger.torn())
        self.ledger.add('volume', 'v3')
        self.assertEqual(['v1', 'v3'], self._ids())
        self.assertEqual(1, self.logger.output.count(f'{path}:2'))

    def test_full_disk(self):
        self.ledger.add('volume', 'v1')
        real = os.write

        def write(number, data):
            write.calls += 1
            if write.calls > 1:
                raise OSError(28, 'No space left on device')
            return real(number, bytes(data)[:10])

        write.calls = 0
        with mock.patch('os.write', write):
            self.assertRaises(OSError, self.ledger.add, 'volume', 'v2')
        self.ledger.add('volume', 'v3')
        self.assertEqual(['v1', 'v3'], self._ids())

    def test_short_write_is_continued(self):
        real = os.write
        with mock.patch('os.write', lambda number, data: real(
                number, bytes(data)[:7])):
            self.ledger.add('volume', 'v1')
        self.assertEqual(['v1'], self._ids())

    def test_corrupt_line_says_where(self):
        self.ledger.add('volume', 'v1')
        path, = self._files()
        good = self._lines()[0]
        no_kind = json.loads(good)
        del no_kind['kind']
        for line, text in (
                ('{"time": 1', 'not a line of JSON'),
                ('[]', 'not an event of a ledger'),
                ('', 'not a line of JSON'),
                ('{"event": "party", "time": 1}', 'not an event of a ledger'),
                ('{"event": ["gone"], "time": 1}',
                 'not an event of a ledger'),
                (json.dumps(no_kind), 'the event intend lacks kind'),
                ('{"event": "abandon", "token": "t", "time": "x"}',
                 'the event abandon lacks a time')):
            with open(path, 'w') as stream:
                stream.write(f'{good}\n{line}\n{good}\n')
            for call in (lambda: self.ledger.owns('volume', 'v1'),
                         self.ledger.entries, self.ledger.changes,
                         lambda: self.ledger.require('volume', ['v1'])):
                err = self.assertRaises(exceptions.LedgerCorrupt, call)
                self.assertThat(str(err), testtools.matchers.StartsWith(
                    f'{path}:2: {text}'))

    def test_other_files_are_not_read(self):
        self.ledger.add('volume', 'v1')
        with open(os.path.join(self.path, 'notes.txt'), 'w') as stream:
            stream.write('hello\n')
        self.assertEqual(['v1'], self._ids())
