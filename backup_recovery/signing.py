# SPDX-License-Identifier: Apache-2.0

"""Sign files of records, and refuse what has another signature.

A signature is a detached JWS (RFC 7515, appendix F) over the last line of a
file, which has a digest of all lines before it.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import pathlib
from typing import Any

from backup_recovery import exceptions
from reference_drivers.recovery_keys import wrapping

_ALGORITHMS = {'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512'}


def _algorithm(key: Any) -> str:
    return _ALGORITHMS[key.export_public(as_dict=True)['crv']]


def _signed(end: Mapping[str, Any]) -> str:
    """The signed part of a last line, in its one form."""
    return json.dumps({name: value for name, value in end.items()
                       if name != 'signature'},
                      sort_keys=True, separators=(',', ':'))


@dataclasses.dataclass(frozen=True, repr=False)
class Signer:
    """A private key.

    :ivar name: of its public key: the SHA-256 thumbprint of RFC 7638
    """

    name: str
    key: Any

    @classmethod
    def read(cls, path: pathlib.Path) -> 'Signer':
        """Read a private key.

        :raises BadFile: it cannot be used, or others can read it
        """
        try:
            key = wrapping.private_key(path)
        except wrapping.BadKeyFile as error:
            raise exceptions.BadFile(str(error)) from error
        return cls(key.thumbprint(), key)

    def sign(self, end: Mapping[str, Any]) -> str:
        """Sign the last line of a file.

        :param end: its content
        :returns: the signature, in the compact form
        """
        from jwcrypto import jws

        made = jws.JWS(_signed(end))
        made.add_signature(self.key, protected=json.dumps({
            'alg': _algorithm(self.key), 'kid': self.name}))
        made.detach_payload()
        return str(made.serialize(compact=True))


class Signers:
    """The public keys that files may be signed by.

    :param unsigned: a file may also have no signature
    """

    def __init__(self, keys: Mapping[str, Any], unsigned: bool = False):
        self._keys = dict(keys)
        self._unsigned = unsigned

    @classmethod
    def read(cls, paths: Sequence[pathlib.Path],
             own: Signer | None = None, unsigned: bool = False
             ) -> 'Signers | None':
        """Read public keys.

        :param own: a private key, whose public key is one of them
        :param unsigned: a file may also have no signature
        :returns: None without any, where no signature is wanted
        :raises BadFile: one of them cannot be used
        """
        try:
            found = wrapping.public_keys(paths)
        except wrapping.BadKeyFile as error:
            raise exceptions.BadFile(str(error)) from error
        if own is not None:
            found[own.name] = own.key
        return cls(found, unsigned) if found else None

    def refused(self, end: Mapping[str, Any]) -> str | None:
        """The reason why the signature of a last line is not accepted."""
        from jwcrypto import common
        from jwcrypto import jws

        if 'signature' not in end:
            return (None if self._unsigned else
                    'this part of the file is not signed')
        made = jws.JWS()
        try:
            made.deserialize(end['signature'])
            name = made.jose_header['kid']
            key = self._keys.get(name)
            if key is not None:
                made.verify(key, detached_payload=_signed(end))
        # It is text of a file, which may have any form.
        except (common.JWException, ValueError, KeyError, TypeError):
            return 'the signature is wrong: this part of the file was changed'
        if key is None:
            return (f'this part of the file is signed by another key, '
                    f'{str(name)[:60]}, which --signed-by does not name')
        return None


@dataclasses.dataclass(frozen=True)
class Signing:
    """The keys that a file of records is signed and checked with.

    :ivar signer: signs the new one; None leaves it unsigned
    :ivar signers: of which one has to have signed the old one; None takes
        any
    """

    signer: Signer | None = None
    signers: Signers | None = None

    @classmethod
    def read(cls, private: pathlib.Path | None,
             public: Sequence[pathlib.Path], unsigned: bool = False
             ) -> 'Signing':
        """Read a private key, if there is one, and public keys.

        What the private key has signed is accepted, too.

        :param unsigned: the old file may have no signature

        :raises BadFile: one of them cannot be used
        """
        signer = Signer.read(private) if private else None
        return cls(signer, Signers.read(public, signer, unsigned))

    def check(self, book: Any) -> None:
        """Check that a new file has a signature where the old one has.

        :param book: :class:`books.Book` of the old one, loaded
        :raises BadFile: it would have none
        """
        if book.signed and self.signer is None:
            raise exceptions.BadFile(
                f'{book.path} is signed, and a new one would not be: use '
                f'--signing-key')
