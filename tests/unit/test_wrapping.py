# SPDX-License-Identifier: Apache-2.0

"""Keys wrapped for public keys, and each way to refuse them."""

import base64
import copy
import json
import subprocess
import sys
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric import rsa
import ddt
from jwcrypto import jwe
from jwcrypto import jwk
import testtools

from reference_drivers.recovery_keys import wrapping
from tests import recovery_keys

_ID = '6f1f7b3e-8f6b-4a52-9c0f-000000000001'
_OTHER = '6f1f7b3e-8f6b-4a52-9c0f-000000000002'
_KEY = bytes(range(32))
_PROOF = wrapping.fingerprint(_KEY, _ID)


class WrapCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.pairs = self.useFixture(recovery_keys.Pairs())
        self.private, self.public = self.pairs.make('one')
        self.reader = wrapping.RecoveryKey.read(self.private)

    def wrap(self, *paths, key=_KEY, backup_id=_ID, proof=_PROOF):
        return wrapping.wrap(key, backup_id, proof, wrapping.recipients(
            paths or [self.public]))

    def refused(self, wrapped, words, backup_id=_ID, proof=_PROOF):
        exc = self.assertRaises(wrapping.NotUnwrapped, self.reader.unwrap,
                                wrapped, backup_id, proof)
        self.assertIn(words, str(exc))
        self.assertNotIn(repr(_KEY), str(exc))


@ddt.ddt
class WrapTest(WrapCase):

    @ddt.data((ec.SECP256R1(), 4), (ec.SECP384R1(), 3), (ec.SECP521R1(), 3))
    @ddt.unpack
    def test_round(self, curve, most):
        """As many recipients as have room; each opens it."""
        pairs = [self.pairs.make(f'{number}', curve)
                 for number in range(most + 1)]
        for key in (_KEY, bytes(range(64)), b'a' * 16):
            proof = wrapping.fingerprint(key, _ID)
            wrapped = self.wrap(*(public for _, public in pairs[:most]),
                                key=key, proof=proof)
            self.assertLessEqual(len(json.dumps(wrapped)), wrapping.ROOM)
            for private, _ in pairs[:most]:
                reader = wrapping.RecoveryKey.read(private)
                self.assertEqual(key, reader.unwrap(wrapped, _ID, proof))
        exc = self.assertRaises(wrapping.BadKeyFile, wrapping.recipients,
                                [public for _, public in pairs])
        self.assertIn('name fewer', str(exc))

    def test_any_other_program_reads_it(self):
        """It is a standard: nothing of ours is needed."""
        wrapped = self.wrap()
        key = jwk.JWK.from_pem(self.private.read_bytes())
        other = jwe.JWE()
        other.deserialize(json.dumps(wrapped), key)
        self.assertEqual(_KEY, other.payload)
        self.assertEqual(f'cinder backup {_ID} {_PROOF}'.encode(),
                         base64.urlsafe_b64decode(wrapped['aad'] + '=='))

    def test_no_key_in_it(self):
        text = json.dumps(self.wrap())
        for form in (_KEY.hex(), base64.b64encode(_KEY).decode(),
                     base64.urlsafe_b64encode(_KEY).decode().rstrip('=')):
            self.assertNotIn(form, text)
        self.assertNotEqual(self.wrap(), self.wrap())

    def test_wrong_private_key(self):
        _, public = self.pairs.make('other')
        self.refused(self.wrap(public), f'and not for {self.reader.name}')

    def test_recipient_that_was_revoked(self):
        """Its own entry is gone, and none of the others is its."""
        self.assertEqual(_KEY, self.reader.unwrap(self.wrap(), _ID, _PROOF))
        others = [self.pairs.make(name)[1] for name in 'ab']
        self.refused(self.wrap(*others), 'the key is wrapped for ')
        # The name of another's entry does not open it either.
        wrapped = self.wrap(*others)
        wrapped['recipients'][1]['header']['kid'] = self.reader.name
        self.refused(wrapped, 'was cut off or changed')

    def test_swapped(self):
        """The wrapped keys of two backups, also with their fingerprints."""
        proof = wrapping.fingerprint(b'b' * 32, _OTHER)
        wrapped = self.wrap(key=b'b' * 32, backup_id=_OTHER, proof=proof)
        self.refused(wrapped, f'but of "cinder backup {_OTHER}')
        self.refused(wrapped, 'is not that of this backup', proof=proof)
        # Its name is authenticated.
        wrapped['aad'] = self.wrap()['aad']
        self.refused(wrapped, 'was cut off or changed')
        # And a clone of the same key for another backup is another one, too.
        self.refused(self.wrap(), 'is not that of this backup', _OTHER)
        self.refused(self.wrap(), 'is not that of this backup', proof=None)

    def test_another_key(self):
        """One who has the public key makes a wrap, but not the proof."""
        self.refused(self.wrap(key=b'c' * 32), 'is not the one that the '
                                               'volume was encrypted with')

    def test_every_truncation_and_change(self):
        """Each missing or different part: nothing but a refusal."""
        whole = self.wrap()
        self.assertEqual(_KEY, self.reader.unwrap(whole, _ID, _PROOF))

        def places(value):
            if isinstance(value, str):
                yield ()
                return
            keys = (value if isinstance(value, dict) else
                    range(len(value)))
            for key in keys:
                yield (key,)
                for rest in places(value[key]):
                    if rest:
                        yield (key, *rest)

        def changed(place, change):
            made = copy.deepcopy(whole)
            inner = made
            for key in place[:-1]:
                inner = inner[key]
            change(inner, place[-1])
            return made

        def cut(inner, key):
            inner[key] = inner[key][:-2] if isinstance(inner[key], str) else {}

        def drop(inner, key):
            del inner[key]

        def turn(inner, key):
            if isinstance(inner[key], str):
                first = 'B' if inner[key][0] == 'A' else 'A'
                inner[key] = first + inner[key][1:]
            else:
                inner[key] = None

        def null(inner, key):
            inner[key] = 1

        count = 0
        for place in places(whole):
            for change in (cut, drop, turn, null):
                with self.subTest(place=place, change=change.__name__):
                    self.assertRaises(
                        wrapping.NotUnwrapped, self.reader.open,
                        changed(place, change), _ID, _PROOF)
                    count += 1
        self.assertLess(50, count)
        for other in (None, [], 'text', {}, json.dumps(whole)):
            self.refused(other, 'cut off or changed')

    @ddt.data({'alg': 'ECDH-ES+A256KW', 'enc': 'A256GCM', 'zip': 'DEF'},
              {'alg': 'dir', 'enc': 'A256GCM'},
              {'alg': 'ECDH-ES+A128KW', 'enc': 'A128GCM'})
    def test_other_algorithms(self, header):
        """A record does not choose how it is read."""
        made = self.wrap()
        made['protected'] = base64.urlsafe_b64encode(
            json.dumps(header).encode()).decode().rstrip('=')
        self.refused(made, 'cut off or changed')


@ddt.ddt
class FilesTest(WrapCase):

    def assert_bad(self, function, path, words):
        exc = self.assertRaises(wrapping.BadKeyFile, function, path)
        self.assertIn(words, str(exc))
        self.assertNotIn('\n', str(exc))

    @ddt.data(rsa.generate_private_key(65537, 2048),
              ed25519.Ed25519PrivateKey.generate(),
              ec.generate_private_key(ec.SECP256K1()))
    def test_other_kinds(self, key):
        private, public = recovery_keys.write(
            self.pairs.directory / 'kind', key)
        words = 'use one of EC on P-256'
        self.assert_bad(wrapping.public_key, public, words)
        self.assert_bad(wrapping.RecoveryKey.read, private, words)

    def test_private_key_as_a_recipient(self):
        """It must not lie where the backups are made."""
        self.assert_bad(wrapping.public_key, self.private,
                        'keep the private one away from this host')

    def test_public_key_as_the_private_one(self):
        self.public.chmod(0o600)
        self.assert_bad(wrapping.RecoveryKey.read, self.public,
                        'is not a private key')

    def test_not_there(self):
        for function in (wrapping.public_key, wrapping.RecoveryKey.read):
            self.assert_bad(function, self.pairs.directory / 'gone',
                            'No such file')

    def test_others_can_read_it(self):
        self.private.chmod(0o640)
        self.assert_bad(wrapping.RecoveryKey.read, self.private, 'chmod 600')

    def test_with_a_passphrase(self):
        private, _ = recovery_keys.write(
            self.pairs.directory / 'locked',
            ec.generate_private_key(ec.SECP256R1()), b'secret')
        self.assert_bad(wrapping.RecoveryKey.read, private, 'is encrypted')

    def test_no_key(self):
        self.public.write_text('-----BEGIN PUBLIC KEY-----\nAAAA')
        self.assert_bad(wrapping.public_key, self.public,
                        'is not a public key')

    def test_keys_of_openssl(self):
        """As the page makes them."""
        private, public = (self.pairs.directory / name
                           for name in ('openssl.key', 'openssl.pem'))
        for command in (
                ['genpkey', '-algorithm', 'EC', '-pkeyopt',
                 'ec_paramgen_curve:P-256', '-out', private],
                ['pkey', '-in', private, '-pubout', '-out', public]):
            subprocess.run(['openssl', *command], check=True,
                           capture_output=True)
        self.assertEqual(_KEY, wrapping.RecoveryKey.read(private).unwrap(
            self.wrap(public), _ID, _PROOF))

    def test_library_that_is_not_installed(self):
        """Without keys that travel it is not needed."""
        with mock.patch.dict(sys.modules, {'jwcrypto': None}):
            self.assertEqual([], wrapping.recipients([]))
            for function, path in ((wrapping.public_key, self.public),
                                   (wrapping.RecoveryKey.read, self.private)):
                self.assert_bad(function, path, 'pip install jwcrypto')

    def test_twice(self):
        self.assert_bad(wrapping.recipients, [self.public] * 2, 'twice')
        self.assertEqual([], wrapping.recipients([]))
