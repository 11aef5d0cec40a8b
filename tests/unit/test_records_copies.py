# SPDX-License-Identifier: Apache-2.0

"""Copies of files of records: which are kept, and who can read them."""

import json
import pathlib
from unittest import mock

import ddt
import fixtures
from jwcrypto import jwe
from jwcrypto import jwk
import testtools

from backup_recovery import copies
from backup_recovery import exceptions
from backup_recovery import files
from backup_recovery import keys
from backup_recovery import main
from backup_recovery import sealing
from reference_drivers.recovery_keys import wrapping
from tests import programs
from tests import records_cases as cases
from tests import recovery_keys
from tests.unit import test_records_apply
from tests.unit import test_records_export

_PART = sealing._PART


class CopiesCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.path = self.directory / 'records'
        self.pairs = self.useFixture(recovery_keys.Pairs())
        self.private, self.public = self.pairs.make('one')


@ddt.ddt
class SealTest(CopiesCase):

    def setUp(self):
        super().setUp()
        self.sealed = self.directory / 'sealed'
        self.plain = self.directory / 'plain'

    def seal(self, content, *public):
        """The lines of an encrypted file."""
        self.path.write_bytes(content)
        with (files.reading(self.path) as source,
              files.replacing(self.sealed) as target):
            sealing.seal(source, target,
                         keys.recipients(public or [self.public]))
        return self.sealed.read_bytes().splitlines(keepends=True)

    def unseal(self, private=None):
        self.plain.unlink(missing_ok=True)
        sealing.unseal(self.sealed, self.plain,
                       keys.read(private or self.private))
        return self.plain.read_bytes()

    def assert_refused(self, words, *lines, private=None):
        """One line says why, and nothing of it is decrypted."""
        self.sealed.write_bytes(b''.join(lines))
        error = self.assertRaises(exceptions.BadFile, self.unseal, private)
        self.assertIn(words, str(error))
        self.assertNotIn('\n', str(error))
        self.assertEqual({self.path, self.sealed},
                         {*self.directory.iterdir()})

    @ddt.data(1, _PART - 1, _PART, _PART + 1, 3 * _PART + 7)
    def test_round(self, size):
        content = (b'0123456789' * (size // 10 + 1))[:size]
        private, public = self.pairs.make('two')
        lines = self.seal(content, self.public, public)
        self.assertEqual(1 + -(-size // _PART), len(lines))
        for one in self.private, private:
            self.assertEqual(content, self.unseal(one))
        self.assertEqual(0o600, self.plain.stat().st_mode & 0o777)

    def test_any_other_program_reads_it(self):
        """It is a standard: nothing of ours is needed."""
        head, *parts = map(json.loads, self.seal(b'abc' * _PART))
        other = jwe.JWE()
        other.deserialize(json.dumps(head['key']),
                          jwk.JWK.from_pem(self.private.read_bytes()))
        key = jwk.JWK(kty='oct', k=jwk.base64url_encode(other.payload))
        found = b''
        for one in parts:
            part = jwe.JWE()
            part.deserialize(one['part'], key)
            found += part.payload
        self.assertEqual(b'abc' * _PART, found)

    def test_nothing_can_be_read(self):
        lines = self.seal(b'the name of a secret project')
        self.assertNotIn(b'secret', b''.join(lines))
        # Each file has a key of its own.
        self.assertNotEqual(lines, self.seal(b'the name of a secret project'))

    def test_parts(self):
        """All have to be there, in their order."""
        head, one, two, three = self.seal(b'x' * (2 * _PART + 1))
        _, other, *_ = self.seal(b'y' * (2 * _PART + 1))
        for words, lines in (
                ('part 0 of the file is missing', (head, two, one, three)),
                ('part 1 of the file is missing', (head, one, three)),
                ('part 1 of the file is missing', (head, one, one)),
                ('cut off after 2 parts', (head, one, two)),
                ('cut off after 0 parts', (head,)),
                ('lines after its last part', (head, one, two, three, three)),
                (':4: the line was cut off or changed',
                 (head, one, two, three[:-20])),
                (':2: the line was cut off or changed',
                 (head, other, two, three)),
                (':2: the line was cut off', (head, b'{}\n')),
                (':2: the line was cut off', (head, b'[]\n')),
                (':2: the line was cut off', (head, b'{"part": 3}\n')),
                (':2: the line was cut off', (head, b'{"part": "{}"}\n'))):
            self.assert_refused(words, *lines)

    def test_heads(self):
        head, part = self.seal(b'x')
        private, _ = self.pairs.make('other')
        self.assert_refused(f'which {private} is', head, part,
                            private=private)
        content = json.loads(head)
        wrapped = wrapping.wrap(b'k' * 32, cases.record().id, 'p',
                                keys.recipients([self.public]))
        for words, one in (
                ('is not an encrypted file', b''),
                ('is not an encrypted file', b'{"version": 1}\n'),
                ('is not an encrypted file', b'{"sealed": 2}\n'),
                ('is not an encrypted file', b'{"sealed": 1}\n'),
                ('is not an encrypted file', head[:-9] + b'\n'),
                ('an unknown form', b'{"sealed": 1, "key": 3}\n'),
                ('is not that of a file of records', json.dumps(
                    {'sealed': 1, 'key': wrapped}).encode() + b'\n'),
                ('was cut off or changed', json.dumps({**content, 'key': {
                    **content['key'], 'tag': 'A' * 22}}).encode() + b'\n')):
            self.assert_refused(words, one, part)

    def test_file_that_exists(self):
        """No file that is in use is replaced."""
        self.seal(b'x')
        self.assertIn('exists', str(self.assertRaises(
            exceptions.BadFile, sealing.unseal, self.sealed, self.path,
            keys.read(self.private))))
        self.assertEqual(b'x', self.path.read_bytes())


class KeepTest(CopiesCase):

    def setUp(self):
        super().setUp()
        self.copies = self.directory / 'copies'
        self.copies.mkdir()
        self.path.write_bytes(b'content')

    def make(self, day, number=3, wanted=()):
        class Clock:
            datetime = mock.Mock()
            UTC = None
        Clock.datetime.now().strftime = (
            lambda form: f'202611{day:02}T020000Z')
        with mock.patch.object(copies, 'datetime', Clock):
            return copies.make(self.path, self.copies, number, list(wanted))

    def names(self):
        return sorted(one.name for one in self.copies.iterdir())

    def test_newest(self):
        """Only copies of this file are deleted, the oldest ones."""
        others = ['records', 'records-20261101T020000Z.old', 'record',
                  'records-2-20261101T020000Z', 'records-20261101T02000Z',
                  'xrecords-20261101T020000Z']
        # The last one is of another user, who could read what is written.
        for name in [*others, 'records-20261105T020000Z.new']:
            (self.copies / name).touch(0o644)
        for day in range(1, 6):
            copy = self.make(day)
            self.assertEqual(b'content', copy.read_bytes())
            self.assertEqual(0o600, copy.stat().st_mode & 0o777)
        self.assertEqual(sorted([*others, *(
            f'records-202611{day:02}T020000Z' for day in (3, 4, 5))]),
            self.names())

    def test_encrypted_ones(self):
        """They are counted with the others."""
        self.make(1)
        wanted = keys.recipients([self.public])
        for day in (2, 3):
            copy = self.make(day, 2, wanted)
        self.assertEqual(['records-20261102T020000Z.jwe',
                          'records-20261103T020000Z.jwe'], self.names())
        plain = self.directory / 'plain'
        sealing.unseal(copy, plain, keys.read(self.private))
        self.assertEqual(b'content', plain.read_bytes())
        self.make(4, 2)
        self.assertEqual(['records-20261103T020000Z.jwe',
                          'records-20261104T020000Z'], self.names())

    def test_failure(self):
        """Where none can be made, none is deleted."""
        self.make(1)
        self.make(2)
        with mock.patch.object(files, 'sync', side_effect=OSError(
                28, 'No space left on device')):
            error = self.assertRaises(exceptions.BadFile, self.make, 3, 1)
        self.assertIn('No space left', str(error))
        self.assertEqual(2, len(self.names()))


class ProgramTest(CopiesCase):

    def setUp(self):
        super().setUp()
        self.record = cases.record(display_name='payroll')
        self.copies = self.directory / 'copies'
        self.copies.mkdir()

    def call(self, *arguments, status=0):
        cloud = (test_records_export.Cloud(self.record)
                 if arguments[0] == 'export' else
                 test_records_apply.Cloud(self.record))
        with mock.patch('backup_recovery.clouds.Cloud', return_value=cloud):
            found, printed, self.said = programs.call(main.main, *arguments)
        self.assertEqual(status, found, self.said)
        return printed

    def test_from_an_export_to_a_plan(self):
        """A copy is all that is left, and it is signed and encrypted."""
        sign, verify = self.pairs.make('sign')
        printed = self.call(
            'export', self.path, '--signing-key', sign, '--copies',
            self.copies, '--keep', '1', '--recipient', self.public)
        copy, = self.copies.iterdir()
        self.assertIn(f'the copy is {copy}', printed)
        # The file itself stays readable: the next export needs it.
        self.call('export', self.path, '--signing-key', sign)
        self.path.unlink()
        plan = self.directory / 'plan'
        for arguments in (('plan', copy, plan), ('export', copy)):
            self.call(*arguments, status=3)
            self.assertEqual(
                f'error: {copy} is encrypted: cinder-backup-records decrypt '
                f'{copy} FILE --recovery-key KEY\n', self.said)
        found = self.directory / 'found'
        self.call('decrypt', copy, found, '--recovery-key', self.private)
        self.call('plan', found, plan, '--signed-by', verify)
        self.assertIn(self.record.id, plan.read_text())

    def test_copy_that_cannot_be_written(self):
        """The records are exported, and the exit status is not that of all."""
        printed = json.loads(self.call(
            'export', self.path, '--copies', self.directory / 'none', '-f',
            'json', status=1))
        self.assertEqual((1, None), (printed['records'], printed['copy']))
        self.assertIn('No such file', printed['uncopied'])
        self.assertEqual(1, self.said.count('warning: '))

    def test_mistakes(self):
        """In one line, before anything is exported."""
        private, public = self.pairs.make('other')
        for words, arguments in (
                ('name a directory with --copies', ['--recipient', public]),
                ('name the public one here', [
                    '--copies', self.copies, '--recipient', private]),
                ('0 is less than 1', ['--keep', '0'])):
            self.call('export', self.path, *arguments, status=3)
            self.assertIn(words, self.said)
            self.assertEqual(1, self.said.count('\n'), self.said)
            self.assertFalse(self.path.exists())
