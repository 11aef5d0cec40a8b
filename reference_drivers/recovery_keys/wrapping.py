# SPDX-License-Identifier: Apache-2.0

"""Wrap a key for public keys, and unwrap it with a private one.

It is that of a backup, or of a file. A wrapped key is a JWE (RFC 7516) in its
general JSON serialization, by ECDH on a curve of NIST, AES key wrap and
AES-GCM, which FIPS 140 has all of. Its authenticated data names the backup and
the fingerprint of the key, or the kind of file. Neither Cinder nor a key
manager is needed here.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import json
import pathlib
from typing import Any

#: As much as the wrapped key may have of a record, as JSON, in bytes.
ROOM = 1600

#: The longest key that volumes have: two of 256 bits, for XTS.
_LONGEST = 64
# Slow, since the fixed key of a configuration may be weak enough to guess; and
# a function that FIPS 140 knows.
_ITERATIONS = 210_000
_HEADER = {'alg': 'ECDH-ES+A256KW', 'enc': 'A256GCM'}
_CURVES = {'secp256r1': 'P-256', 'secp384r1': 'P-384', 'secp521r1': 'P-521'}
_FORM = 'EC on P-256, P-384 or P-521, in PEM'
_PARTS = ('protected', 'aad', 'iv', 'ciphertext', 'tag')


class BadKeyFile(Exception):
    """The file of a key cannot be used; the text names the remedy."""


class NotUnwrapped(Exception):
    """A wrapped key is refused; the text is the reason."""


def fingerprint(key: bytes, backup_id: str) -> str:
    """Make what proves that a key is the right one, and is not the key.

    It is slow and salted by the backup, so that each guess of a weak key
    costs a tenth of a second, for each backup anew.
    """
    made = hashlib.pbkdf2_hmac('sha512', key,
                               f'cinder backup {backup_id}'.encode(),
                               _ITERATIONS, 32)
    return f'pbkdf2-sha512:{made.hex()}'


def _jose() -> Any:
    # An extra: nothing here is needed unless keys travel.
    try:
        from jwcrypto import jwe
        from jwcrypto import jwk
    except ImportError:
        raise BadKeyFile('jwcrypto is not installed, which wraps keys and '
                         'signs: pip install jwcrypto') from None
    return jwe, jwk


def _pem(path: str | pathlib.Path) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise BadKeyFile(f'{path}: {error.strerror}') from error


def _jwk(path: str | pathlib.Path, key: Any) -> Any:
    """The key as JOSE has it.

    :raises BadKeyFile: it is of another kind
    """
    if getattr(getattr(key, 'curve', None), 'name', None) not in _CURVES:
        raise BadKeyFile(f'{path} has a key of another kind: use one of '
                         f'{_FORM}')
    _, jwk = _jose()
    return jwk.JWK.from_pyca(key)


def public_key(path: str | pathlib.Path) -> Any:
    """Read a public key.

    :param path: of a file in PEM
    :returns: the key as JOSE has it
    :raises BadKeyFile: it is not there, or not a public key on such a curve
    """
    _jose()
    from cryptography import exceptions
    from cryptography.hazmat.primitives import serialization

    content = _pem(path)
    if b'PRIVATE KEY' in content:
        raise BadKeyFile(f'{path} has a private key: name the public one '
                         f'here, and keep the private one away from this '
                         f'host')
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise BadKeyFile(f'{path} is not a public key: use one of {_FORM}'
                         ) from None
    return _jwk(path, key)


def private_key(path: pathlib.Path) -> Any:
    """Read a private key.

    :param path: of a file in PEM
    :returns: the key as JOSE has it
    :raises BadKeyFile: it is not there, not one, or others can read it
    """
    _jose()
    from cryptography import exceptions
    from cryptography.hazmat.primitives import serialization

    content = _pem(path)
    if path.stat().st_mode & 0o077:
        raise BadKeyFile(f'others than you can read {path}: '
                         f'chmod 600 {path}')
    try:
        key = serialization.load_pem_private_key(content, None)
    except TypeError:
        raise BadKeyFile(f'{path} is encrypted: decrypt it into a file '
                         f'that only you can read (openssl pkey)'
                         ) from None
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise BadKeyFile(f'{path} is not a private key: use one of '
                         f'{_FORM}') from None
    return _jwk(path, key)


def public_keys(paths: Sequence[str | pathlib.Path]) -> dict[str, Any]:
    """Read public keys.

    :returns: the keys by their SHA-256 thumbprints of RFC 7638
    :raises BadKeyFile: one of them cannot be used, or is named twice
    """
    found: dict[str, Any] = {}
    for path in paths:
        one = public_key(path)
        if found.setdefault(one.thumbprint(), one) is not one:
            raise BadKeyFile(f'{path} is named twice; remove one')
    return found


def recipients(paths: Sequence[str | pathlib.Path]) -> list[Any]:
    """Read public keys.

    :raises BadKeyFile: one of them cannot be used, is named twice, or what
        is wrapped for all of them has no room in a record
    """
    found = public_keys(paths)
    needed = len(json.dumps(wrap(
        bytes(_LONGEST), '-' * 36, f'pbkdf2-sha512:{"0" * 64}',
        list(found.values())))) if found else 0
    if needed > ROOM:
        raise BadKeyFile(f'keys wrapped for these {len(found)} recipients '
                         f'take {needed} bytes of a record, which has '
                         f'{ROOM}: name fewer; four on P-256 have room')
    return list(found.values())


def _bound(backup_id: str, proof: str) -> bytes:
    """The data that is authenticated with the key."""
    return f'cinder backup {backup_id} {proof}'.encode()


def wrap(key: bytes, backup_id: str, proof: str, wanted: Sequence[Any]
         ) -> dict[str, Any]:
    """Wrap a key.

    :param proof: its fingerprint
    :param wanted: at least one of :func:`public_key`
    :returns: what can be written as JSON
    """
    return wrap_bound(key, _bound(backup_id, proof), wanted)


def wrap_bound(key: bytes, bound: bytes, wanted: Sequence[Any]
               ) -> dict[str, Any]:
    """The same for a key of anything.

    :param bound: names what the key is of; another name does not open it
    """
    jwe, _ = _jose()
    made = jwe.JWE(key, json.dumps(_HEADER, separators=(',', ':')), aad=bound)
    for one in wanted:
        made.add_recipient(one, json.dumps({'kid': one.thumbprint()}))
    found = json.loads(made.serialize())
    if 'recipients' not in found:
        # It is flat for one.
        found['recipients'] = [{name: found.pop(name)
                                for name in ('header', 'encrypted_key')}]
    return found


def _decoded(text: str) -> bytes:
    from jwcrypto import common

    return common.base64url_decode(text)


def _names(wrapped: Any) -> list[str]:
    """The names of the keys that it is wrapped for.

    :raises NotUnwrapped: it has not the form
    """
    try:
        if (isinstance(wrapped, dict) and wrapped['recipients'] and
                wrapped.keys() == {*_PARTS, 'recipients'} and
                all(isinstance(wrapped[name], str) for name in _PARTS) and
                all(isinstance(one['encrypted_key'], str)
                    for one in wrapped['recipients']) and
                json.loads(_decoded(wrapped['protected'])) == _HEADER):
            return [str(one['header']['kid'])
                    for one in wrapped['recipients']]
    except (KeyError, TypeError, ValueError):
        pass
    raise NotUnwrapped('the wrapped key was cut off or changed, or is of an '
                       'unknown form')


@dataclasses.dataclass(frozen=True, repr=False)
class RecoveryKey:
    """A private key.

    :ivar path: its file
    :ivar name: of its public key: the SHA-256 thumbprint of RFC 7638
    """

    path: pathlib.Path
    name: str
    _key: Any

    @classmethod
    def read(cls, path: pathlib.Path) -> 'RecoveryKey':
        """Read a private key.

        :raises BadKeyFile: it is not there, not one, or others can read it
        """
        made = private_key(path)
        return cls(path, made.thumbprint(), made)

    def open(self, wrapped: Any, backup_id: str, proof: Any) -> bytes:
        """Unwrap a key, if it is wrapped for this one and for this backup.

        :param wrapped: as :func:`wrap` returned it
        :param proof: the fingerprint that the record names
        :raises NotUnwrapped: saying why not
        """
        return self.open_bound(
            wrapped, _bound(backup_id, str(proof)),
            'this backup and of the fingerprint in its record')

    def open_bound(self, wrapped: Any, bound: bytes, what: str) -> bytes:
        """Unwrap a key of anything.

        :param wrapped: as :func:`wrap_bound` returned it
        :param what: names, for people, what it is of
        :raises NotUnwrapped: saying why not
        """
        jwe, _ = _jose()
        names = _names(wrapped)
        try:
            given = _decoded(wrapped['aad'])
        except ValueError:
            given = b''
        if given != bound:
            raise NotUnwrapped(
                f'the wrapped key is not that of {what}, but of '
                f'"{given.decode(errors="replace")[:60]}"')
        if self.name not in names:
            raise NotUnwrapped(
                f'the key is wrapped for {" and ".join(names)}, and not for '
                f'{self.name}, which {self.path} is')
        own = wrapped['recipients'][names.index(self.name)]
        reader = jwe.JWE(algs=list(_HEADER.values()))
        try:
            reader.deserialize(json.dumps({**wrapped, 'recipients': [own]}))
            reader.decrypt(self._key)
        except (jwe.InvalidJWEData, ValueError):
            raise NotUnwrapped('the wrapped key was cut off or changed'
                               ) from None
        return reader.payload

    def unwrap(self, wrapped: Mapping[str, Any], backup_id: str, proof: Any
               ) -> bytes:
        """The same, and prove by its fingerprint that it is the right key."""
        key = self.open(wrapped, backup_id, proof)
        if fingerprint(key, backup_id) != proof:
            raise NotUnwrapped('the wrapped key is not the one that the '
                               'volume was encrypted with')
        return key
