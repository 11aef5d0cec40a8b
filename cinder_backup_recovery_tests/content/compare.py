# SPDX-License-Identifier: Apache-2.0
"""Compare a stream with a layout, and name each difference and its cause.

The stream is read once, in bounded memory. Blocks that are equal cost one
comparison; in a block that differs every sector is examined, and its
stamp gives the cause:

- *stale*: this sector of this layout, of another generation
- *shifted*: another sector of this layout; also by part of a sector
- *uncleared*: this sector of this layout before zeros were written
- *zeroed*: zeros where data was expected
- *foreign*: a sector of another layout
- *garbage*: none of these, or data with wrong bytes after its stamp
- *truncated*, *longer*: the stream ends too early or goes on
"""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import itertools
from typing import Any
from typing import BinaryIO
from typing import NamedTuple

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.content import layout
from cinder_backup_recovery_tests.content import stamp

STALE = 'stale'
UNCLEARED = 'uncleared'
SHIFTED = 'shifted'
ZEROED = 'zeroed'
FOREIGN = 'foreign'
GARBAGE = 'garbage'
TRUNCATED = 'truncated'
LONGER = 'longer'

_BLOCK = 1024 * 1024
_SECTOR = stamp.SECTOR
_ZEROS = bytes(_SECTOR)
_LINES = 10


@dataclasses.dataclass(frozen=True)
class Difference:
    """A run of bytes that differ for the same reason.

    Offset and length are in bytes; whole sectors, whichever of their bytes
    differ.
    """

    offset: int
    length: int
    kind: str
    detail: str

    def __str__(self) -> str:
        return (f'{self.kind}: {self.length} bytes at offset {self.offset} '
                f'{self.detail}')


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    ``checked`` is the number of bytes that the stream had, ``differences``
    the first of them, ``counts`` how many there are of each kind and
    ``totals`` how many bytes they cover.
    """

    checked: int
    differences: tuple[Difference, ...]
    counts: dict[str, int]
    totals: dict[str, int]

    @property
    def ok(self) -> bool:
        """True if every byte is as expected, and none is missing."""
        return not self.counts

    def __str__(self) -> str:
        if self.ok:
            return f'{self.checked} bytes are as expected'
        kinds = ', '.join(f'{self.counts[kind]} {kind} '
                          f'({self.totals[kind]} bytes)'
                          for kind in sorted(self.counts))
        lines = [f'of {self.checked} bytes read, differences are {kinds}']
        lines += [f'  {one}' for one in self.differences[:_LINES]]
        more = sum(self.counts.values()) - (len(lines) - 1)
        if more:
            lines.append(f'  and {more} more')
        return '\n'.join(lines)

    def raise_if_different(self, what: str) -> None:
        """Fail when anything is different.

        :raises ContentMismatch: naming ``what``, and up to ten differences
        """
        if not self.ok:
            mismatch = exceptions.ContentMismatch(f'{what}: {self}')
            mismatch.kinds = frozenset(self.counts)
            raise mismatch


def compare(expected: layout.Layout, stream: BinaryIO | Iterable[bytes],
            history: Iterable[layout.Layout] = (),
            block_size: int = _BLOCK, keep: int = 100) -> Comparison:
    """Compare a whole stream with what a volume must hold.

    :param stream: a binary file, or its content in pieces of any size
    :param history: older contents of the volume, so that zeros where data is
        expected are told apart when an older generation had zeros there
    :param block_size: bytes to compare at once, a multiple of 512
    :param keep: how many differences to keep; all are counted
    :raises ValueError: the block size is not a multiple of 512
    """
    if block_size <= 0 or block_size % _SECTOR:
        raise ValueError(f'block size {block_size} is not a multiple of '
                         f'{_SECTOR}')
    findings = _Findings(keep)
    judge = _Judge(expected, tuple(history))
    zeros = bytes(block_size)
    offset = 0
    before = b''
    surplus = 0
    surplus_is_zeros = True
    for got in in_blocks(stream, block_size):
        wanted = min(len(got), max(expected.size_bytes - offset, 0))
        if wanted < len(got):
            surplus += len(got) - wanted
            surplus_is_zeros = (surplus_is_zeros
                                and not any(memoryview(got)[wanted:]))
            got = got[:wanted]
        want = (zeros if wanted == block_size
                and expected.is_hole(offset, wanted)
                else expected.read(offset, wanted))
        if got != want:
            for position in range(0, wanted, _SECTOR):
                one = got[position:position + _SECTOR]
                right = want[position:position + _SECTOR]
                if one != right:
                    findings.add(offset + position, len(one), *judge.judge(
                        offset + position, one, right, before, got, position))
        before = got[-_SECTOR:]
        offset += wanted
    if offset < expected.size_bytes:
        findings.add(offset, expected.size_bytes - offset, TRUNCATED,
                     'are missing: the stream ended there')
    if surplus:
        findings.add(offset, surplus, LONGER, 'are too many'
                     + (' (all zeros)' if surplus_is_zeros else ''))
    return findings.result(offset + surplus)


def compare_two(first: layout.Layout, whole: layout.Layout,
                stream: BinaryIO | Iterable[bytes],
                block_size: int = _BLOCK) -> Comparison:
    """Compare a stream that starts with one layout and goes on with another.

    As a volume does onto which the backup of a smaller one was restored.

    :param first: its start, a multiple of the block size
    :param whole: the layout from there to its end
    :raises ValueError: the size of ``first`` is not such a multiple
    """
    count, rest = divmod(first.size_bytes, block_size)
    if rest:
        raise ValueError(f'{first.size_bytes} is not a multiple of '
                         f'{block_size}')
    blocks = in_blocks(stream, block_size)
    begin = compare(first, itertools.islice(blocks, count),
                    block_size=block_size)
    # Before the seam nothing is looked at again: it is taken to be right.
    end = compare(whole, itertools.chain(
        itertools.islice(whole.blocks(block_size), count), blocks),
        block_size=block_size)
    return end if begin.ok else begin


class _Verdict(NamedTuple):
    kind: str
    detail: str
    # What makes a run of the same reason; the detail may differ within it.
    key: Any


class _Findings:
    """Merges sectors into runs, keeps the first runs and counts all."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._kept: list[Difference] = []
        self._counts: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._run: Difference | None = None
        self._key: Any = None

    def add(self, offset: int, length: int, kind: str, detail: str,
            key: Any = None) -> None:
        run = self._run
        if (run is not None and run.offset + run.length == offset
                and (run.kind, self._key) == (kind, key)):
            self._run = dataclasses.replace(run, length=run.length + length)
            return
        self._close()
        self._run = Difference(offset, length, kind, detail)
        self._key = key

    def result(self, checked: int) -> Comparison:
        self._close()
        return Comparison(checked, tuple(self._kept), self._counts,
                          self._totals)

    def _close(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        self._counts[run.kind] = self._counts.get(run.kind, 0) + 1
        self._totals[run.kind] = self._totals.get(run.kind, 0) + run.length
        if len(self._kept) < self._keep:
            self._kept.append(run)


class _Judge:
    """Finds the cause of a sector that differs."""

    def __init__(self, expected: layout.Layout,
                 history: tuple[layout.Layout, ...]) -> None:
        self._expected = expected
        # The newest first: it is the likeliest that was restored.
        self._history = sorted((one for one in history
                                if one.seed == expected.seed),
                               key=lambda one: -one.generation)

    def judge(self, offset: int, got: bytes, want: bytes, before: bytes,
              block: bytes, position: int) -> _Verdict:
        """Judge the sector at ``block[position:]``.

        :param got: its bytes; less than 512 where the stream ended
        :param before: the sector before the block, for what is shifted by
            part of a sector
        """
        expectation = self._expectation(offset)
        if got == _ZEROS[:len(got)]:
            return self._zeroed(offset, expectation)
        found = stamp.read(got)
        if found is not None:
            return self._stamped(offset, found, got, want, expectation)
        if position:
            window = block[position - _SECTOR:position + 2 * _SECTOR]
            middle = _SECTOR
        else:
            window = before + block[:2 * _SECTOR]
            middle = len(before)
        return (self._unaligned(offset, got, window, middle, expectation)
                or self._garbage(offset, got, want, expectation, ''))

    def _expectation(self, offset: int) -> str:
        extent = self._expected.extent_at(offset)
        if extent is None:
            return 'zeros'
        zeros = 'zeros of ' if extent.kind == layout.ZEROS else ''
        return f'{zeros}generation {extent.generation}'

    def _zeroed(self, offset: int, expectation: str) -> _Verdict:
        detail = f'hold zeros, expected {expectation}'
        for old in self._history:
            if (offset < old.size_bytes
                    and old.is_hole(offset, _SECTOR)):
                detail += f'; generation {old.generation} had zeros there'
                break
        return _Verdict(ZEROED, detail, detail)

    def _stamped(self, offset: int, found: stamp.Stamp, got: bytes,
                 want: bytes, expectation: str) -> _Verdict:
        if _made(found)[:len(got)] != got:
            return self._garbage(
                offset, got, want, expectation,
                f' behind a stamp of generation {found.generation}'
                if found.seed == self._expected.seed else
                f' behind a stamp of seed {found.seed:#x}')
        home = found.sector * _SECTOR
        if found.seed != self._expected.seed:
            return self._foreign(found, expectation)
        if home != offset:
            return self._shifted(found, offset - home, expectation)
        detail = f'hold generation {found.generation}, expected {expectation}'
        extent = self._expected.extent_at(offset)
        return _Verdict(
            UNCLEARED if (extent is not None and
                          extent.kind == layout.ZEROS and
                          found.generation < extent.generation) else STALE,
            detail, detail)

    def _unaligned(self, offset: int, got: bytes, window: bytes, middle: int,
                   expectation: str) -> _Verdict | None:
        # A stamp that starts in the sector before, whose data reaches into
        # this one, or one that starts within this one.
        position = max(middle - _SECTOR + 1, 0)
        while True:
            hit = stamp.find(window, position, middle + len(got))
            if hit is None:
                return None
            place, found = hit
            made = _made(found)
            begin, skip = max(place - middle, 0), max(middle - place, 0)
            here = got[begin:begin + _SECTOR - skip]
            if here == made[skip:skip + len(here)]:
                if found.seed != self._expected.seed:
                    return self._foreign(found, expectation)
                return self._shifted(
                    found, offset + place - middle - found.sector * _SECTOR,
                    expectation)
            position = place + 1

    def _foreign(self, found: stamp.Stamp, expectation: str) -> _Verdict:
        detail = f'hold data of seed {found.seed:#x}, expected {expectation}'
        return _Verdict(FOREIGN, detail, detail)

    def _shifted(self, found: stamp.Stamp, by: int,
                 expectation: str) -> _Verdict:
        return _Verdict(
            SHIFTED, f'hold data shifted by {by:+d} bytes, from offset '
            f'{found.sector * _SECTOR} on, expected {expectation}',
            (by, expectation))

    def _garbage(self, offset: int, got: bytes, want: bytes,
                 expectation: str, where: str) -> _Verdict:
        first = next(index for index, pair in enumerate(
            zip(got, want, strict=True)) if pair[0] != pair[1])
        return _Verdict(
            GARBAGE, f'hold garbage{where}, first wrong byte at '
            f'{offset + first}, expected {expectation}', (where, expectation))


def _made(found: stamp.Stamp) -> bytes:
    return stamp.sectors(found.seed, found.generation, found.sector, 1,
                         found.fill)


def in_blocks(stream: BinaryIO | Iterable[bytes],
              block_size: int) -> Iterator[bytes]:
    """Cut a stream into blocks of one size; the last may be shorter."""
    read = getattr(stream, 'read', None)
    pieces: Iterator[bytes] = (iter(lambda: read(block_size), b'')
                               if read is not None else iter(stream))
    collected = bytearray()
    for piece in pieces:
        if not collected and len(piece) == block_size:
            yield bytes(piece)
            continue
        collected += piece
        if len(collected) >= block_size:
            whole = len(collected) // block_size * block_size
            for begin in range(0, whole, block_size):
                yield bytes(collected[begin:begin + block_size])
            del collected[:whole]
    if collected:
        yield bytes(collected)
