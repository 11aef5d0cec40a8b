# SPDX-License-Identifier: Apache-2.0

"""Signatures of files of records: what is used, and what is refused."""

import json
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import ec
import ddt
from jwcrypto import jwk
from jwcrypto import jws

from backup_recovery import books
from backup_recovery import exceptions
from backup_recovery import main
from backup_recovery import plans
from backup_recovery import records
from backup_recovery import signing
from backup_recovery import volumes
from backup_recovery.prove import proving
from tests import programs
from tests import records_cases as cases
from tests import recovery_keys
from tests.unit import test_records_apply
from tests.unit import test_records_export
from tests.unit import test_records_file


class SigningCase(test_records_file.FileCase):

    def setUp(self):
        super().setUp()
        self.pairs = self.useFixture(recovery_keys.Pairs())
        self.private, self.public = self.pairs.make('own')
        self.foreign, self.foreign_public = self.pairs.make('foreign')

    def signed(self, *found, private=None):
        """The lines of a file that is signed."""
        records.write(self.path, found,
                      signing.Signer.read(private or self.private))
        return self.path.read_bytes().splitlines(keepends=True)

    def check(self, *public):
        return books.Book(self.path, signing.Signers.read(
            public or [self.public])).load()

    def assert_refused(self, words, *lines):
        """Nothing of it is used; without a key given all of it is read."""
        self.path.write_bytes(b''.join(lines))
        error = self.assertRaises(exceptions.BadFile, self.check)
        self.assertIn(words, str(error))
        self.assertEqual(1, str(error).count('is used'), error)
        self.assertIn(f'{self.path}:{len(lines)}: ', str(error))


@ddt.ddt
class SignatureTest(SigningCase):

    @ddt.data(ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
    def test_round(self, curve):
        private, public = self.pairs.make('curve', curve)
        self.signed(self.monday, self.tuesday, private=private)
        book = self.check(self.public, public)
        self.assertEqual([], book.problems)
        self.assertEqual({self.monday.id, self.tuesday.id}, {*book.records})
        self.assertEqual(1, len(book.signed))

    def test_any_other_program_checks_it(self):
        """It is a standard: nothing of ours is needed."""
        end = json.loads(self.signed(self.monday)[-1])
        signature = end.pop('signature')
        other = jws.JWS()
        other.deserialize(signature)
        payload = json.dumps(end, sort_keys=True, separators=(',', ':'))
        key = jwk.JWK.from_pem(self.public.read_bytes())
        other.verify(key, detached_payload=payload)
        self.assertRaises(jws.InvalidJWSSignature, other.verify, key,
                          detached_payload=payload + ' ')
        self.assertEqual(key.thumbprint(), other.jose_header['kid'])

    def test_lines(self):
        """Swapped, deleted, added or cut off, the signature is not theirs."""
        one, two, end = self.signed(self.monday, self.tuesday)
        other, *_ = self.signed(cases.record())
        for words, lines in (
                ('not those that were written', (two, one, end)),
                ('not those that were written', (one, other, end)),
                ('2 records were written, and 1 are', (one, end)),
                ('2 records were written, and 3 are', (one, two, two, end)),
                ('2 records were written, and 3 are', (one, b'x\n', two, end)),
                ('cut off', (one, two)), ('cut off', (one, two, end[:-30])),
                ('not those that were written', (one, two[:-30] + b'\n', end)),
                ('is not signed', (
                    cases.of_columns(self.monday).encode(),))):
            self.assert_refused(words, *lines)

    def test_ends(self):
        """A last line that was made by others, in any form."""
        *rest, _ = self.signed(self.monday)
        signed = json.loads(_)
        public = json.dumps(jwk.JWK.from_pem(
            self.public.read_bytes()).export_public(as_dict=True))
        name = jwk.JWK.from_pem(self.public.read_bytes()).thumbprint()
        weak = jws.JWS(signing._signed(signed))
        weak.add_signature(jwk.JWK.from_password(public), alg='HS256',
                           protected=json.dumps({'alg': 'HS256',
                                                 'kid': name}))
        weak.detach_payload()
        head = signed['signature'].partition('.')[0]
        wrong = 'the signature is wrong'
        for words, change in (
                (wrong, {'signed': '2027-01-01T00:00:00Z'}),
                (wrong, {'signature': weak.serialize(compact=True)}),
                (wrong, {'signature': f'{head}..'}),
                (wrong, {'signature': ''}),
                (wrong, {'signature': 'a.b.c'}),
                (wrong, {'signature': '{}'}), (wrong, {'signature': '[]'}),
                (wrong, {'signature': head + '.e30.' + 'A' * 86}),
                (wrong, {'signature': 'e30..' + 'A' * 86})):
            self.assert_refused(words, *rest, json.dumps(
                {**signed, **change}).encode() + b'\n')
        for name in ('signed', 'signature'):
            del signed[name]
        self.assert_refused('is not signed', *rest,
                            json.dumps(signed).encode() + b'\n')

    def test_signature_of_another_file(self):
        *_, end = self.signed(self.tuesday)
        *lines, own = self.signed(self.monday)
        own, end = json.loads(own), json.loads(end)
        # Also where it brings along what it is the signature of.
        head, _, tail = end['signature'].split('.')
        payload = jwk.base64url_encode(signing._signed(end))
        for signature in end['signature'], f'{head}.{payload}.{tail}':
            self.assert_refused('signature is wrong', *lines, json.dumps({
                **own, 'signature': signature,
                'signed': end['signed']}).encode() + b'\n')

    def test_empty_file(self):
        for content in b'', b'\n \n':
            self.path.write_bytes(content)
            self.assertIn('is not signed', str(self.assertRaises(
                exceptions.BadFile, self.check)))

    def test_foreign_one(self):
        lines = self.signed(self.monday, private=self.foreign)
        self.assert_refused('signed by another key', *lines)
        self.assertEqual([], self.check(self.foreign_public).problems)

    def test_foreign_part(self):
        """It is named in one line, and the rest is used."""
        foreign = b''.join(self.signed(
            self.tuesday, cases.record(self.monday.id, size=3,
                                       exported='2027-01-01T00:00:00Z'),
            private=self.foreign))
        unsigned = b''.join(self.written(self.tuesday))
        own = b''.join(self.signed(self.monday))
        for parts, line in (((foreign, own), 3), ((own, foreign), 5),
                            ((unsigned, own), 2), ((own, unsigned), 4),
                            ((own, unsigned.splitlines(True)[0]), 3)):
            self.path.write_bytes(b''.join(parts))
            book = self.check()
            self.assertEqual([('signature', line)], [
                (one.code, one.line) for one in book.problems])
            self.assertEqual([self.monday.id], [*book.records])
            self.assertEqual(1, book.records[self.monday.id].facts.size)
            with book.reader() as read:
                self.assertEqual(self.monday,
                                 read(book.records[self.monday.id]))

    def test_read_without_a_key(self):
        """A signature that is not asked for is not looked at."""
        self.signed(self.monday, private=self.foreign)
        self.assertEqual([], books.Book(self.path).load().problems)

    def test_mistakes(self):
        self.private.chmod(0o640)
        for words, function, path in (
                ('chmod 600', signing.Signer.read, self.private),
                ('No such file', signing.Signer.read,
                 self.path.with_name('x')),
                ('name the public one', lambda path: signing.Signers.read(
                    [path]), self.foreign),
                ('named twice', lambda path: signing.Signers.read(
                    [path, path]), self.public)):
            error = self.assertRaises(exceptions.BadFile, function, path)
            self.assertIn(words, str(error))


class ProgramTest(SigningCase):
    """A signature, in each command."""

    def call(self, *arguments, cloud=None, status=0):
        with mock.patch('backup_recovery.clouds.Cloud', return_value=cloud):
            found, printed, self.said = programs.call(
                main.main, *arguments)
        self.assertEqual(status, found, self.said)
        return printed

    def export(self, *arguments, status=0):
        self.cloud.exported.clear()
        return self.call('export', self.path, *arguments, cloud=self.cloud,
                         status=status)

    def test_export(self):
        self.cloud = test_records_export.Cloud(self.monday, self.tuesday)
        own = '--signing-key', self.private
        self.export(*own)
        self.export(*own)
        self.assertEqual([], self.cloud.exported)
        self.assertEqual(2, len(self.check().records))
        # A forgotten option takes no signature away.
        before = self.path.read_bytes()
        self.export(status=3)
        self.assertIn('use --signing-key', self.said)
        self.assertEqual(before, self.path.read_bytes())
        # Another key signs only what is known to be good.
        other = '--signing-key', self.foreign
        self.export(*other, status=3)
        self.assertIn('signed by another key', self.said)
        self.assertEqual(before, self.path.read_bytes())
        self.export(*other, '--signed-by', self.public)
        self.assertEqual(2, len(self.check(self.foreign_public).records))

    def test_first_signature(self):
        """A file without one gets it when that is wished, and not before."""
        gone = cases.record(gone='2026-11-29T02:00:00Z')
        self.written(self.monday, gone)
        self.cloud = test_records_export.Cloud(self.monday)
        own = '--signing-key', self.private
        self.export(*own, status=3)
        self.assertIn('is not signed', self.said)
        self.export('--sign-old', status=3)
        self.assertIn('needs --signing-key', self.said)
        before = self.path.read_bytes()
        self.signed(self.monday, gone, private=self.foreign)
        self.export(*own, '--sign-old', status=3)
        self.assertIn('signed by another key', self.said)
        self.path.write_bytes(before)
        self.export(*own, '--sign-old')
        self.assertEqual([], self.cloud.exported)
        self.assertEqual({self.monday.id, gone.id}, {*self.check().records})

    def test_export_signs_nothing_of_others(self):
        """A line of a stranger gets no signature; the cloud is asked."""
        false = cases.record(self.monday.id, display_name='monday',
                             driver_info={'bucket': 'of a stranger'})
        gone = cases.record()
        foreign = self.signed(false, gone, private=self.foreign)
        self.path.write_bytes(b''.join(
            self.signed(self.tuesday) + foreign))
        self.cloud = test_records_export.Cloud(self.monday, self.tuesday)
        self.export('--signing-key', self.private, status=1)
        self.assertEqual([self.monday.id], self.cloud.exported)
        self.assertEqual({self.monday.id, self.tuesday.id},
                         {*self.check().records})
        self.assertIn('none of its 2 lines is used', self.said)
        copy, = self.path.parent.glob('records.damaged-*')
        self.assertIn(gone.id, copy.read_text())

    def test_plan_and_apply(self):
        """The rest of a file with a foreign part is recovered."""
        self.path.write_bytes(b''.join(
            self.signed(self.monday) +
            self.signed(self.tuesday, private=self.foreign)))
        cloud = test_records_apply.Cloud(self.monday, self.tuesday)
        plan, by = self.path.with_name('plan'), ('--signed-by', self.public)
        printed = json.loads(self.call(
            'plan', self.path, plan, *by, '-f', 'json', cloud=cloud,
            status=1))
        self.assertEqual((1, 1, ['signature']), (
            printed['records'], printed['import'],
            [one['code'] for one in printed['problems']]))
        self.assertIsNotNone(printed['signed'])
        self.assertEqual(1, self.said.count('warning: '), self.said)
        self.call('apply', plan, *by, cloud=cloud)
        # The file is another one when the plan is carried out.
        both = self.path.with_name('both')
        self.call('plan', self.path, both, cloud=cloud)
        found = json.loads(self.call('apply', both, *by, '-f', 'json',
                                     cloud=cloud, status=1))
        self.assertEqual([self.tuesday.id], [*found['failed']])
        self.assertIn('is not in what is signed of', self.said)
        self.assertEqual(2, len(plans.read(both).items))

    def test_nothing_is_signed(self):
        """A plan is refused, and not one without backups made."""
        self.written(self.monday)
        plan = self.path.with_name('plan')
        self.call('plan', self.path, plan, '--signed-by', self.public,
                  cloud=test_records_apply.Cloud(), status=3)
        self.assertIn(f'error: {self.path}:2: this part of the file is not '
                      f'signed; ', self.said)
        self.assertFalse(plan.exists())

    def test_restore_and_prove(self):
        """Nor is a volume compared with a record of a stranger."""
        self.written(self.monday)
        plan = self.path.with_name('plan')
        cloud = test_records_apply.Cloud(self.monday)
        self.call('plan', self.path, plan, cloud=cloud)
        self.path.with_name('plan.journal').write_text(''.join(
            json.dumps({'event': event, 'backup': self.monday.id,
                        'volume': 'one'}) + '\n'
            for event in (volumes.VOLUME, volumes.COMPLETE)))
        with (mock.patch.object(proving, 'configure'),
              mock.patch.object(proving.attaching, 'Host')):
            for command in 'restore', 'prove':
                self.call(command, plan, '--signed-by', self.public,
                          cloud=cloud, status=3)
                self.assertIn('is not signed', self.said)

    def test_rewrap(self):
        self.signed(self.monday)
        before = self.path.read_bytes()
        arguments = ('rewrap', self.path, '--recovery-key', self.private,
                     '--recipient', self.public)
        self.call(*arguments, status=3)
        self.assertIn('use --signing-key', self.said)
        self.assertEqual(before, self.path.read_bytes())
        self.call(*arguments, '--signing-key', self.private)
        self.assertEqual([self.monday.id], [*self.check().records])
