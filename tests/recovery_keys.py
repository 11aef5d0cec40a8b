# SPDX-License-Identifier: Apache-2.0

"""Pairs of keys for recoveries, in files as openssl makes them."""

import pathlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
import fixtures


def write(path, key, passphrase=None):
    """Write a pair of keys.

    :returns: the files of the private and of the public key
    """
    private = path.with_suffix('.key')
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase) if passphrase else
        serialization.NoEncryption()))
    public = path.with_suffix('.pem')
    public.write_bytes(key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


class Pairs(fixtures.Fixture):
    """A directory with pairs of keys."""

    def _setUp(self):
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)

    def make(self, name, curve=None):
        """Make a pair.

        :returns: the files of the private and of the public key
        """
        return write(self.directory / name,
                     ec.generate_private_key(curve or ec.SECP256R1()))
