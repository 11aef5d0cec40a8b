# SPDX-License-Identifier: Apache-2.0

"""Keys in files of records, where no key manager is needed.

``tests/functional/test_recovery_keys.py`` has two real ones.
"""

import dataclasses
import json

from backup_recovery import applying
from backup_recovery import books
from backup_recovery import journals
from backup_recovery import keys
from backup_recovery import main
from backup_recovery import records
from backup_recovery import work
from reference_drivers.recovery_keys import wrapping
from tests import programs
from tests import records_cases as cases
from tests import recovery_keys
from tests.unit import test_records_apply
from tests.unit import test_records_plan

_KEY = b'k' * 32


class KeysCase(test_records_plan.PlanCase):

    def setUp(self):
        super().setUp()
        self.pairs = self.useFixture(recovery_keys.Pairs())
        self.private, self.public = self.pairs.make('one')
        self.path = self.directory / 'records'
        self.full = self.wrapped(self.full, self.public)
        self.other_private, self.other_public = self.pairs.make('other')
        self.child = self.wrapped(self.child, self.other_public)
        self.chain = self.full, self.child, self.grandchild
        records.write(self.path, self.chain)

    def wrapped(self, record, *paths):
        """The record of an encrypted volume, with its key."""
        proof = wrapping.fingerprint(_KEY, record.id)
        return cases.record(**{
            **record.fields, 'backup_id': record.id,
            'encryption_key_id': 'old', 'driver_info': {'encryption': {
                'fingerprint': proof, 'wrapped': wrapping.wrap(
                    _KEY, record.id, proof, wrapping.recipients(paths))}}})

    def program(self, *arguments):
        """Run the program.

        :returns: its exit status, and what it prints
        """
        status, printed, self.said = programs.call(main.main, *arguments)
        return status, printed

    def rewrap(self, *paths, private=None):
        return self.program('rewrap', self.path, '--recovery-key',
                            private or self.private, '-f', 'json', *(
                                part for path in paths
                                for part in ('--recipient', path)))


class RewrapTest(KeysCase):

    def read(self):
        book = books.Book(self.path).load()
        with book.reader() as read:
            return [read(book.records[one.id]) for one in self.chain]

    def test_one_that_it_cannot_open(self):
        """It is named, and its record is as it was."""
        _, public = self.pairs.make('new')
        status, printed = self.rewrap(public)
        found = json.loads(printed)
        self.assertEqual((1, [self.full.id], [self.child.id]), (
            status, found['rewrapped'], [*found['failed']]))
        self.assertIn(f'warning: the key of backup {self.child.id} is '
                      f'unchanged: the key is wrapped for ', self.said)
        new = self.read()
        self.assertNotEqual(self.full, new[0])
        self.assertEqual([self.child, self.grandchild], new[1:])
        # The old private key opens the new record no more.
        status, printed = self.rewrap(public)
        self.assertEqual([], json.loads(printed)['rewrapped'])

    def test_mistakes(self):
        """An error in one line, and the file is unchanged."""
        before = self.path.read_bytes()
        for paths, private, words in (
                ([self.directory / 'gone'], None, 'No such file'),
                ([self.public], self.public, 'is not a private key'),
                ([self.private], None, 'name the public one here')):
            if private:
                private.chmod(0o600)
            status, _ = self.rewrap(*paths, private=private)
            self.assertEqual(3, status)
            self.assertIn(words, self.said)
            self.assertEqual(1, self.said.count('\n'), self.said)
            self.assertEqual(before, self.path.read_bytes())

    def test_damaged_file(self):
        """A line that cannot be read would be lost with a new file."""
        content = self.path.read_bytes().splitlines(keepends=True)
        content[1] = content[1].replace(b'digest', b'digets')
        self.path.write_bytes(b''.join(content))
        status, _ = self.rewrap(self.other_public)
        self.assertEqual(3, status)
        self.assertIn('which would be lost', self.said)
        self.assertEqual(b''.join(content), self.path.read_bytes())


class ApplyTest(KeysCase):

    def run_plan(self, private=None):
        self.cloud = test_records_apply.Cloud(*self.chain)
        for one in self.chain:
            self.cloud.by_url[keys.without_wrap(one)] = one
        with journals.Journal(self.directory / 'journal') as written:
            return applying.Run(
                self.cloud, self.make(), written, work.Options(30), 1,
                private=private and keys.read(private)).run()

    def test_without_a_private_key(self):
        """Cinder logs each record that it imports: the wrap is left out."""
        found = []
        request = test_records_apply.Session.request

        def note(session, method, path, **arguments):
            found.append(json.dumps(arguments))
            return request(session, method, path, **arguments)

        test_records_apply.Session.request = note
        self.addCleanup(setattr, test_records_apply.Session, 'request',
                        request)
        self.assertEqual(3, len(self.run_plan().imported))
        for one in self.chain[:2]:
            self.assertNotIn(one.backup_url, ''.join(found))
            self.assertIn(keys.without_wrap(one), ''.join(found))
            self.assertNotIn('wrapped', json.dumps(dataclasses.replace(
                one, backup_url=keys.without_wrap(one)).fields))

    def test_refused_before_anything_is_made(self):
        """And so is what builds on it."""
        private, _ = self.pairs.make('wrong')
        report = self.run_plan(private)
        self.assertEqual([], self.cloud.requests)
        self.assertEqual([], self.cloud.set_limits)
        self.assertEqual({one.id for one in self.chain}, {*report.failed})
        self.assertIn(f'which {private} is', report.failed[self.full.id])
        self.assertIn('builds on backup', report.failed[self.grandchild.id])

    def test_mistakes(self):
        self.make().write(self.directory / 'plan')
        for path, words in ((self.directory / 'gone', 'No such file'),
                            (self.public, 'others than you can read')):
            status, _ = self.program('apply', self.directory / 'plan',
                                     '--recovery-key', path)
            self.assertEqual(3, status)
            self.assertIn(words, self.said)
            self.assertEqual(1, self.said.count('\n'))


class JournalTest(KeysCase):

    def test_secrets_survive_a_kill(self):
        path = self.directory / 'journal'
        with journals.Journal(path) as written:
            for secret in 'abc':
                written.store('backup', secret)
            written.settle('backup', 'b')
        with journals.Journal(path) as written:
            self.assertEqual(['a', 'c'], written.stored['backup'])
            written.settle('backup', 'a')
        with journals.Journal(path) as written:
            self.assertEqual({'backup': ['c']}, written.stored)
