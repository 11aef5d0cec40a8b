# SPDX-License-Identifier: Apache-2.0

"""Keys of encrypted volumes, where no key manager is needed."""

import json

from castellan.common.objects import symmetric_key
import testtools

from reference_drivers import keys

_KEY = symmetric_key.SymmetricKey('AES', 256, bytes(range(32)))
_LUKS = {'type': 'LUKS', 'provider': 'luks', 'cipher': 'aes-xts-plain64',
         'key_size': 256, 'control_location': 'front-end'}


class KeysTest(testtools.TestCase):

    def test_fingerprint(self):
        """A fingerprint that was exported once is compared by all releases."""
        self.assertEqual(
            'pbkdf2-sha512:d6050dcf2cea710141980cef02b69b00'
            'e8e98203e50f0544dce2a0b869734246',
            keys.fingerprint(_KEY, '6f1f7b3e-8f6b-4a52-9c0f-000000000001'))

    def test_source(self):
        volume = {'encryption_key_id': 'k', 'volume_type_id': 't'}
        for text in (json.dumps({'volume-base-metadata': volume}),
                     json.dumps({'volume-base-metadata': volume}).encode()):
            self.assertEqual(keys.Source('k', 't'), keys.source(text))
        for text in (None, '', b'\xff', '[]', '{}', '1', {}, volume,
                     '{"volume-base-metadata": 1}',
                     '{"volume-base-metadata": {"volume_type_id": "t"}}'):
            self.assertIsNone(keys.source(text), text)

    def test_name_of_a_key(self):
        """Barbican has room for 255 characters."""
        for name, kept in (('LUKS', 'LUKS'), ('x' * 255, None)):
            found = keys.Keys._named(_KEY, {**_LUKS, 'type': name})
            self.assertEqual(_KEY, found)
            self.assertLessEqual(len(found.name), 255)
            self.assertEqual({**_LUKS, 'type': kept}, json.loads(found.name))
        found = keys.Keys._named(_KEY, {**_LUKS, 'cipher': 'x' * 255})
        self.assertIsNone(found.name)
        self.assertIs(_KEY, keys.Keys._named(_KEY, None))
