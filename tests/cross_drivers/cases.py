# SPDX-License-Identifier: Apache-2.0

"""Random chains of backups, described by data."""

import dataclasses
import functools
import json
import random

from reference_drivers.contract import base

CINDER = 'cinder.backup.drivers.posix.PosixBackupDriver'
REFERENCE = 'reference_drivers.default.DefaultBackupDriver'
OTHER = {CINDER: REFERENCE, REFERENCE: CINDER}

_KINDS = {'zeros': lambda length, seed: bytes(length),
          'text': base.text, 'noise': base.noise}
# The aliases are stored by their own names.
_COMPRESSIONS = ('none', 'zlib', 'bz2', 'zstd', 'off', 'no', 'gzip', 'bzip2')
_BLOCKS = (512, 1000, 4096, 32768)


@dataclasses.dataclass(frozen=True)
class Write:
    """New content of a part of the volume."""

    offset: int
    length: int
    kind: str
    seed: int


@dataclasses.dataclass(frozen=True)
class Backup:
    """A backup of a chain, and its recovery by the other driver.

    :ivar driver: the driver that makes it
    :ivar writes: what is written to the volume before
    :ivar chunk: blocks in a chunk
    :ivar level: of the import by the reference driver
    :ivar soft: whether its lost row is only marked as deleted
    :ivar past: bytes by which the volume that it is restored to is larger;
        None for a new volume
    """

    driver: str
    writes: tuple[Write, ...]
    compression: str = 'none'
    chunk: int = 64
    snapshot: bool = False
    level: str = 'record'
    soft: bool = False
    past: int | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """A chain of backups of one volume; the first one is full."""

    size: int
    block: int
    backups: tuple[Backup, ...]

    @property
    def restorer(self) -> str:
        """The driver that recovers the chain: not the last one's own."""
        return OTHER[self.backups[-1].driver]

    @functools.cached_property
    def crossing(self) -> int:
        """The number of backups that are not the restorer's own."""
        return sum(one.driver != self.restorer for one in self.backups)

    def contents(self) -> list[bytes]:
        """The content of the volume at each backup."""
        volume = bytearray(self.size)
        found = []
        for backup in self.backups:
            for one in backup.writes:
                # A simpler case may be smaller than its writes.
                length = max(0, min(one.length, self.size - one.offset))
                volume[one.offset:one.offset + length] = _KINDS[one.kind](
                    length, one.seed)
            found.append(bytes(volume))
        return found

    def __str__(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def make(seed: int, number: int) -> Case:
    """The case of a number, the same in each run with the seed."""
    chance = random.Random(f'{seed} {number}')
    block = chance.choice(_BLOCKS)
    size = max(1, chance.randint(0, 24) * block + chance.choice(
        (0, 0, -1, 1, chance.randrange(block))))
    length = chance.choice((1, 2, 2, 3, 3, 4, chance.randint(5, 8)))
    if chance.random() < 0.05:
        length = chance.randint(9, 24)
    driver = (CINDER, REFERENCE)[number % 2]
    mixed = chance.random() < 0.25
    backups = []
    chunk, compression = chance.randint(1, 16), chance.choice(_COMPRESSIONS)
    for generation in range(length):
        # An operator may change both between two backups.
        if chance.random() < 0.2:
            chunk = chance.randint(1, 16)
        if chance.random() < 0.2:
            compression = chance.choice(_COMPRESSIONS)
        backups.append(Backup(
            chance.choice((CINDER, REFERENCE)) if mixed else driver,
            tuple(_writes(chance, size, block, generation)), compression,
            chunk, chance.random() < 0.2,
            chance.choice(base.Contract.levels), chance.random() < 0.3,
            chance.choice((None, 0, chance.randint(1, 2 * block)))))
    backups[-1] = dataclasses.replace(backups[-1], driver=driver)
    return Case(size, block, tuple(backups))


def _writes(chance, size, block, generation):
    if not generation:
        # Every byte of the first content has a kind.
        offset = 0
        while offset < size:
            length = min(size - offset, chance.randint(1, 12 * block))
            yield _write(chance, offset, length)
            offset += length
        return
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        if chance.random() < 0.5:
            offset = chance.randrange(0, size, block)
            length = block * chance.randint(1, 4)
        else:
            offset = chance.randrange(size)
            length = chance.randint(1, 6 * block)
        yield _write(chance, offset, min(length, size - offset))


def _write(chance, offset, length):
    return Write(offset, length, chance.choice(tuple(_KINDS)),
                 chance.randrange(1 << 32))


_PLAIN = [(field.name, field.default) for field in dataclasses.fields(Backup)
          if field.default is not dataclasses.MISSING]


def simpler(case: Case):
    """Yield cases that are like another one, and simpler by one step."""
    backups = case.backups
    if len(backups) > 1:
        for number in range(len(backups)):
            rest = backups[:number] + backups[number + 1:]
            if rest[-1].driver == backups[-1].driver:
                yield dataclasses.replace(case, backups=rest)
    for size in (case.size // 2, case.size - case.size % case.block):
        if 0 < size < case.size:
            yield dataclasses.replace(case, size=size)
    for number, backup in enumerate(backups):
        for changed in _simpler(backup):
            yield dataclasses.replace(case, backups=(
                *backups[:number], changed, *backups[number + 1:]))


def _simpler(backup):
    for number in range(len(backup.writes)):
        yield dataclasses.replace(backup, writes=(
            backup.writes[:number] + backup.writes[number + 1:]))
    for name, value in _PLAIN:
        if getattr(backup, name) != value:
            yield dataclasses.replace(backup, **{name: value})
