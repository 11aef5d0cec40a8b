# SPDX-License-Identifier: Apache-2.0

"""The base of all parts of the contract."""

import random
from typing import Any
from typing import NoReturn
import unittest

from testtools import content as details

from backup_stores import base as stores_base
from reference_drivers.contract import environment


def noise(length: int, seed: int = 1) -> bytes:
    """Content that does not compress."""
    return random.Random(seed).randbytes(length)  # noqa: S311


def text(length: int, seed: int = 1) -> bytes:
    """Content that compresses, but not to nothing."""
    return (noise(length // 4 + 1, seed).hex() * 2)[:length].encode()


class Contract:
    """Mixed into a test case, with ``testtools.TestCase`` behind it.

    A vendor sets the attributes; :meth:`make_objects` returns the store that
    is damaged. One test makes an environment and backups of some 100 KiB.
    Only objects that the driver leaves on the store outlive it.
    """

    #: ``backup_driver`` of cinder.conf.
    driver: str
    #: More options, for :class:`environment.Environment`.
    options: dict[str, Any] = {}
    #: Names of the two options for the sizes below.
    chunk_option = 'backup_file_size'
    block_option = 'backup_sha_block_size_bytes'
    block = 32768
    chunk = 4 * 32768
    #: Values of backup_compression_algorithm, none for a driver without it.
    compressions: tuple[str, ...] = ('none', 'zlib', 'bz2', 'zstd')
    #: How far an import may look, from the least; see [backup_import_verify].
    levels: tuple[str, ...] = ('record', 'presence', 'content')
    #: Capabilities that the driver is not to be tested for, by their names in
    #: the profile of a certification.
    denied: frozenset[str] = frozenset()

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.cinder: Any = self.make_environment()
        self.useFixture(self.cinder)  # type: ignore[attr-defined]
        self.objects: Any = self.make_objects()

    def lacks(self, capability: str, reason: str) -> NoReturn:
        """Skip the test, for the driver lacks a capability.

        :param capability: its name; programs read it from the detail "facts"
        :param reason: for people
        """
        self.addDetail(  # type: ignore[attr-defined]
            'facts', details.json_content({'lacks': capability}))
        raise unittest.SkipTest(f'the driver lacks {capability}: {reason}')

    def needs(self, capability: str) -> None:
        """Skip the test where a capability is denied."""
        if capability in self.denied:
            self.lacks(capability, 'its profile denies it')

    def make_environment(self) -> environment.Environment:
        """Cinder, with the volumes that the driver is to back up."""
        return environment.Environment(self.driver, {
            self.chunk_option: self.chunk, self.block_option: self.block,
            **self.options})

    def make_objects(self) -> stores_base.Store:
        """The store, to look into it and damage it."""
        raise NotImplementedError

    # Content

    def changed(self, data: bytes, *blocks: int, seed: int = 2) -> bytes:
        """The same content with other blocks."""
        new = bytearray(data)
        for number in blocks:
            span = slice(number * self.block, (number + 1) * self.block)
            new[span] = text(len(new[span]), seed + number)
        return bytes(new)

    def generations(self) -> list[bytes]:
        """Contents of a volume with every kind of change between them."""
        first = text(3 * self.chunk) + bytes(self.chunk) + noise(self.block)
        return [
            first,
            # One block, two neighbours, across two chunks, the last one.
            self.changed(first, 1, 5, 6, 7, 8, 16),
            # Data becomes zeros, and zeros data.
            bytes(self.chunk) + self.changed(first, 13)[self.chunk:],
            # Nothing.
            bytes(self.chunk) + self.changed(first, 13)[self.chunk:],
            # The first content again.
            first,
        ]

    def chain(self, *contents: bytes, **values: Any) -> list[Any]:
        """Back one volume up again and again; the full backup is first.

        Without incremental backups all of them are full ones.
        """
        volume = self.cinder.create_volume()
        backups: list[Any] = []
        for content in contents:
            self.cinder.write_volume(volume.id, content)
            backups.append(self.cinder.create_backup(
                volume, self.parent_of_next(backups), **values))
        return backups

    def parent_of_next(self, backups: list[Any]) -> Any:
        """The backup that the next one of its volume is incremental to."""
        return (backups[-1] if backups and
                'incremental' not in self.denied else None)

    # Recoveries

    def assert_restores(self, backup: Any, content: bytes) -> None:
        """Restore to a new volume and over an old one, and compare."""
        restored = self.cinder.restore(backup.id)
        # The file of a new volume ends where its zeros begin.
        self.assertEqual(  # type: ignore[attr-defined]
            content == restored.ljust(len(content), b'\0'), True,
            'the new volume has another content')
        if 'restore_to_existing_volume' in self.denied:
            return
        old = self.cinder.create_volume(noise(len(content), 99))
        restored = self.cinder.restore(backup.id, old)
        self.assertEqual(  # type: ignore[attr-defined]
            content == restored, True, 'the old volume has another content')

    def snapshot(self, *backups: Any) -> dict[Any, Any]:
        """All objects in the containers of some backups."""
        return {(container, name): content
                for container in {self.objects.locate(one)[0]
                                  for one in backups}
                for name, content in
                self.objects.contents(container).items()}
