# SPDX-License-Identifier: Apache-2.0

"""LUKS without the kernel's device mapper: no root, on any open device.

The header is written and opened by cryptsetup, the sectors are encrypted by
the library cryptography, so that what is on the volume is what dm-crypt would
have written there with the same key.
"""

from collections.abc import Sequence
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import Any
from typing import BinaryIO

from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.ciphers import modes

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.content import positions

SECTOR = 512
#: Bytes in front of the data: the default of cryptsetup.
HEADER = 2 << 20
_TYPE = ('--type', 'luks1')
_CIPHER = ('--cipher', 'aes-xts-plain64', '--key-size', '256')
_ZEROS = bytes(SECTOR)
# A key of a key manager needs no stretching; these are the fewest.
_ITERATIONS = '1000'
# cryptsetup wants some data behind the header.
_BEHIND = 1 << 20
_NO_PERMISSION = 2
_PATH = os.pathsep.join((os.environ.get('PATH', ''), '/usr/sbin', '/sbin'))


def require() -> str:
    """Find cryptsetup.

    :raises InvalidConfiguration: it is not installed
    """
    found = shutil.which('cryptsetup', path=_PATH)
    if found is None:
        raise exceptions.InvalidConfiguration(
            'cryptsetup: not found; encrypted_volumes needs it on this '
            'machine, on Debian: apt-get install cryptsetup-bin')
    return found


def passphrase(key: bytes) -> str:
    """Make the passphrase of a volume as Nova and os-brick make it."""
    return key.hex()


def make_header(phrase: str) -> bytes:
    """Make the start of an encrypted volume.

    :param phrase: its passphrase
    :returns: the first HEADER bytes
    :raises KitError: cryptsetup cannot make it
    """
    with tempfile.TemporaryDirectory(prefix='luks-') as name:
        header = pathlib.Path(name, 'header')
        with open(header, 'xb') as file:
            file.truncate(HEADER + _BEHIND)
        done = _run(['luksFormat', *_TYPE, '--offset', str(HEADER // SECTOR),
                     *_CIPHER, '--pbkdf-force-iterations', _ITERATIONS],
                    header, phrase)
        if done.returncode:
            raise exceptions.KitError(_reason(done))
        return header.read_bytes()[:HEADER]


def open_header(header: bytes, phrase: str) -> bytes | None:
    """Find the key of a volume.

    :param header: the first HEADER bytes
    :returns: the key that the sectors are encrypted with, None where the
        passphrase does not open it
    :raises ContentMismatch: it is not a header
    """
    with tempfile.TemporaryDirectory(prefix='luks-') as name:
        path, key = pathlib.Path(name, 'header'), pathlib.Path(name, 'key')
        path.write_bytes(header)
        done = _run(['luksDump', *_TYPE, '--dump-volume-key',
                     '--volume-key-file', str(key)], path, phrase)
        if done.returncode == _NO_PERMISSION:
            return None
        if done.returncode:
            raise exceptions.ContentMismatch(
                f'there is no header of LUKS: {_reason(done)}')
        return key.read_bytes()


def _run(words: Sequence[str], path: pathlib.Path, phrase: str
         ) -> 'subprocess.CompletedProcess[str]':
    """Run cryptsetup, which reads the passphrase from its stdin.

    Arguments of a program are shown to all users of the machine.
    """
    return subprocess.run(
        [require(), '--batch-mode', *words, '--key-file', '-', str(path)],
        input=phrase, capture_output=True, text=True)


def _reason(done: 'subprocess.CompletedProcess[str]') -> str:
    return (f'cryptsetup exited {done.returncode}: '
            f'{" ".join(done.stderr.split())}')


class Device(positions.Sized):
    """The data of an encrypted device, as a file in clear.

    A sector that was never written is zeros on a new volume, and reads as
    such: there is no way to tell what it would be decrypted to, and dm-crypt
    would return noise.

    :param device: at whose start there is a header
    :param key: of the volume
    """

    def __init__(self, device: BinaryIO, key: bytes) -> None:
        super().__init__(device.seek(0, os.SEEK_END) - HEADER)
        self._device = device
        self._aes = algorithms.AES(key)

    def writable(self) -> bool:
        """Check whether the device is open for writing."""
        return self._device.writable()

    def read(self, size: int = -1) -> bytes:
        """Read at the position, to the end where no size is given."""
        rest = max(self._size - self._position, 0)
        length = rest if size < 0 else min(size, rest)
        first = self._position // SECTOR
        skip = self._position - first * SECTOR
        whole = -(-(skip + length) // SECTOR) * SECTOR
        self._device.seek(HEADER + first * SECTOR)
        data = self._device.read(whole)
        if data != _zeros(len(data)):
            data = b''.join(
                self._cipher(number).decryptor().update(sector)
                if sector != _ZEROS else sector
                for number, sector in _sectors(data, first))
        self._position += length
        return data[skip:skip + length]

    def write(self, data: Any) -> int:
        """Write whole sectors at the position.

        :raises ValueError: they are not whole, or past the end
        """
        piece = bytes(data)
        if self._position % SECTOR or len(piece) % SECTOR or (
                self._position + len(piece) > self._size):
            raise ValueError(f'{len(piece)} bytes at {self._position} are not '
                             f'whole sectors of {self._size} bytes')
        first = self._position // SECTOR
        self._device.seek(HEADER + self._position)
        self._device.write(b''.join(
            self._cipher(number).encryptor().update(sector)
            for number, sector in _sectors(piece, first)))
        self._position += len(piece)
        return len(piece)

    def truncate(self, size: int | None = None) -> int:
        """Keep the size, as a device does."""
        return self._size

    def flush(self) -> None:
        """Flush written data to the device."""
        if not self.closed and self._device.writable():
            self._device.flush()

    def _cipher(self, sector: int) -> Any:
        # "plain64": the number of the sector, little endian.
        return ciphers.Cipher(self._aes, modes.XTS(
            sector.to_bytes(16, 'little')))


@functools.lru_cache(maxsize=1)
def _zeros(length: int) -> bytes:
    return bytes(length)


def _sectors(data: bytes, first: int) -> Any:
    return ((first + offset // SECTOR, data[offset:offset + SECTOR])
            for offset in range(0, len(data), SECTOR))
