# SPDX-License-Identifier: Apache-2.0

"""Files of backup records: what is read of them, and what is named."""

import dataclasses
import json
import pathlib

import fixtures
import testtools

from backup_recovery import books
from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import records
from tests import records_cases as cases


class FileCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'records'
        self.monday = cases.record()
        self.tuesday = cases.record(parent_id=self.monday.id,
                                    display_name='it\'s "tuesday"')

    def load(self):
        book = books.Book(self.path).load()
        # Each record that is used can be read.
        with book.reader() as read:
            self.read = {one: read(found) for one, found in
                         book.records.items()}
        return book

    def written(self, *found):
        records.write(self.path, found)
        return self.path.read_bytes().splitlines(keepends=True)

    def assert_found(self, ids, problems):
        """These records are used, and this is named in these lines."""
        book = self.load()
        self.assertEqual(set(ids), set(book.records))
        self.assertEqual(problems, [(one.line, one.code)
                                    for one in book.problems])
        return book


class ReadTest(FileCase):
    def test_what_was_written(self):
        self.written(self.monday, self.tuesday)
        book = self.assert_found([self.monday.id, self.tuesday.id], [])
        self.assertEqual([self.monday, self.tuesday],
                         list(self.read.values()))
        self.assertEqual(0o600, self.path.stat().st_mode & 0o777)
        found = book.records[self.tuesday.id]
        self.assertEqual((self.monday.id, 'it\'s "tuesday"'),
                         (found.parent_id, found.facts.name))

    def test_what_a_scan_has_written(self):
        scanned = cases.record(scan='damaged', project='')
        left = [cases.remains(kind, self.monday.id)
                for kind in records._REMAINS] + [cases.remains('foreign')]
        self.written(self.monday, scanned, *left)
        book = self.assert_found([self.monday.id, scanned.id], [])
        self.assertEqual([self.monday, scanned], list(self.read.values()))
        self.assertEqual(left, book.remains)
        found = book.records[scanned.id]
        self.assertEqual((True, 'damaged', ''), (
            found.scanned, found.found, found.facts.project_id))
        # A line for people, for each.
        self.assertEqual(len(left), len(set(map(str, left))))

    def test_what_is_not_unicode(self):
        """One backup with such a name does not end the others' recovery."""
        left = cases.remains('unread', None)
        left.problems[0]['message'] = 'a \ud800 b'
        one = cases.record(display_name='\ud800')
        self.written(one, left)
        self.assertEqual([left], self.assert_found([one.id], []).remains)
        self.assertEqual({'a': '\ud800'}, json.loads(files.line(
            {'a': '\ud800'})))

    def test_four_columns(self):
        self.path.write_text(''.join(map(cases.of_columns,
                                         (self.monday, self.tuesday))))
        self.assert_found([self.monday.id, self.tuesday.id], [])
        self.assertEqual(self.monday.backup_url,
                         self.read[self.monday.id].backup_url)

    def test_corrupt_lines(self):
        """Each of them is named, and the others are read."""
        lines = self.written(self.monday, self.tuesday)
        changed = json.loads(lines[1])
        changed['project_id'] = cases.BLUE
        bad = [b'\xff\xfe\n', b'{"version": 1\n', b'one two three\n',
               b'{"version": 2}\n', b'[1]\n', b'{"version": 1, "id": 3}\n',
               json.dumps(changed).encode() + b'\n',
               cases.of_columns(self.monday)[1:].encode()]
        self.path.write_bytes(b''.join([lines[0], *bad, lines[1]]))
        self.assert_found([self.monday.id, self.tuesday.id], [
            (number, 'corrupt') for number in range(2, 10)] + [(10, 'end')])

    def test_records_that_cannot_be_imported(self):
        other = cases.record()
        contents = [cases.fields(**bad) for bad in (
            {'size': -1}, {'size': True}, {'display_name': 3},
            {'metadata': []})]
        contents.append(cases.fields())
        del contents[-1]['container']
        lines = [cases.of_columns(records.Record(
            content['id'], cases.RED, cases.SERVICE, cases.encode(content)))
            for content in contents]
        # Of another backup.
        lines.append(cases.of_columns(dataclasses.replace(
            other, id=self.monday.id)))
        for text in ('x', cases.encode([]), cases.encode([])[:-1] + '%'):
            lines.append(cases.of_columns(records.Record(
                other.id, cases.RED, cases.SERVICE, text)))
        self.path.write_text(''.join(lines))
        self.assert_found([], [(number, 'corrupt') for number in
                               range(1, len(lines) + 1)])

    def test_lines_of_another_system(self):
        lines = self.written(self.monday, self.tuesday)
        self.path.write_bytes(b''.join(lines).replace(b'\n', b'\r\n'))
        self.assert_found([self.monday.id, self.tuesday.id], [(1, 'crlf')])

    def test_two_copies(self):
        """The newer one is used, in whichever order they are."""
        newer = cases.record(self.monday.id, display_name='renamed',
                             exported='2026-11-30T03:00:00Z')
        for order in (self.monday, newer), (newer, self.monday):
            self.written(*order)
            book = self.assert_found([newer.id], [(2, 'copy')])
            self.assertEqual(newer, self.read[newer.id])
            self.assertIn('another, older', str(book.problems[0]))

    def test_two_files_in_one(self):
        lines = self.written(self.monday)
        self.path.write_bytes(b''.join(lines + self.written(self.tuesday)))
        self.assert_found([self.monday.id, self.tuesday.id], [])

    def test_cut_off(self):
        lines = self.written(self.monday, self.tuesday)
        self.path.write_bytes(lines[0])
        self.assert_found([self.monday.id], [(1, 'end')])
        self.path.write_bytes(lines[0] + lines[2])
        book = self.assert_found([self.monday.id], [(2, 'end')])
        self.assertIn('2 records were written, and 1 ',
                      str(book.problems[0]))
        self.path.write_bytes(lines[0] + lines[0] + lines[2])
        self.assert_found([self.monday.id], [(2, 'copy'), (3, 'end')])

    def test_file_that_is_not_there(self):
        error = self.assertRaises(exceptions.BadFile,
                                  books.Book(self.path).load)
        self.assertEqual(f'{self.path}: No such file or directory',
                         str(error))

    def test_changed_while_it_is_used(self):
        self.written(self.monday, self.tuesday)
        book = books.Book(self.path).load()
        self.written(self.tuesday)
        with book.reader() as read:
            self.assertRaises(exceptions.BadFile, read,
                              book.records[self.tuesday.id])


class WriteTest(FileCase):
    def test_nothing_changes_until_the_end(self):
        before = self.written(self.monday)

        def some():
            yield self.tuesday
            raise KeyboardInterrupt

        self.assertRaises(KeyboardInterrupt, records.write, self.path, some())
        self.assertEqual(before, self.path.read_bytes().splitlines(True))
        self.assertEqual([self.path], list(self.path.parent.iterdir()))

    def test_what_a_killed_one_left(self):
        left = self.path.with_name('records.new')
        left.write_text('half a line')
        self.written(self.monday)
        self.assert_found([self.monday.id], [])

    def test_two_at_a_time(self):
        with files.replacing(self.path):
            self.assertIn('in use', str(self.assertRaises(
                exceptions.BadFile, records.write, self.path, [])))
        self.written(self.monday)

    def test_link(self):
        target = self.path.with_name('target')
        self.path.symlink_to(target)
        self.written(self.monday)
        self.assertTrue(self.path.is_symlink())
        self.assertIn(self.monday.id, target.read_text())
