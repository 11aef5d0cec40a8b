# SPDX-License-Identifier: Apache-2.0

"""The SHA-256 of many blocks at once.

Blocks are independent of each other, so that one processor can hash several
side by side. Intel's library for that (libipsec-mb) is used where it is
installed, and Python's own hashlib where it is not. Digests are the same.
"""

import collections
import ctypes
import functools
import hashlib
import struct
from typing import Any

#: As many are hashed at a time.
LANES = 16
# A larger block is never compared with zeros: its size is what a storage says,
# and may be any.
_LARGEST = 1 << 20

# Of each version of the library that this was tried with: the length of an
# IMB_JOB. Programs get at a manager's functions and a job's fields by their
# offsets (intel-ipsec-mb.h); those used here are the same in all of these.
_JOBS = {'1.3.0': 200, '2.0.0': 216}
_NAMES = 'libIPSec_MB.so.2', 'libIPSec_MB.so.1'
_GET_NEXT_JOB, _SUBMIT_JOB, _FLUSH_JOB = 64, 80, 96
_SOURCE, _TAG = 24, 88
# IMB_CIPHER_NULL, IMB_DIR_ENCRYPT, IMB_AUTH_SHA_256, IMB_ORDER_HASH_CIPHER,
# from offset 132.
_HASH_ONLY = struct.pack('<IIII', 3, 1, 15, 2)


@functools.lru_cache(maxsize=4)
def _zeros(size: int) -> tuple[bytes, bytes]:
    """A block of zeros and its SHA-256."""
    block = bytes(size)
    return block, hashlib.sha256(block).digest()


class Manager:
    """Hashes for one thread at a time.

    :param library: that was loaded
    :param job: the length of a job
    """

    def __init__(self, library: Any, job: int):
        self._free = library.free_mb_mgr
        self._address: int = library.alloc_mb_mgr(0)
        if not self._address:
            raise MemoryError('alloc_mb_mgr')
        library.init_mb_mgr_auto(self._address, None)
        self._digests = ctypes.create_string_buffer(32 * LANES)
        self._job = job
        # The first one is called too often to let other threads in.
        self._next = self._function(ctypes.PYFUNCTYPE, _GET_NEXT_JOB)
        self._submit = self._function(ctypes.CFUNCTYPE, _SUBMIT_JOB)
        self._flush = self._function(ctypes.CFUNCTYPE, _FLUSH_JOB)

    def _function(self, kind: Any, offset: int) -> Any:
        return kind(ctypes.c_void_p, ctypes.c_void_p)(
            ctypes.c_void_p.from_address(self._address + offset).value)

    def __del__(self) -> None:
        if self._address:
            self._free(self._address)

    def digests(self, places: list[int], size: int) -> list[bytes]:
        """The digests of blocks.

        :param places: the addresses of as many blocks as there are lanes,
            which the caller holds on to
        :param size: bytes of each
        """
        template = bytearray(self._job)
        struct.pack_into('<Q', template, 64, size)
        struct.pack_into('<Q', template, 96, 32)
        template[132:148] = _HASH_ONLY
        job = bytes(template)
        target = ctypes.addressof(self._digests)
        # What is not computed must not be one of the last time.
        ctypes.memset(target, 0, len(self._digests))
        for number, source in enumerate(places):
            place = self._next(self._address)
            ctypes.memmove(place, job, self._job)
            fields = ctypes.c_uint64.from_address
            fields(place + _SOURCE).value = source
            fields(place + _TAG).value = target + 32 * number
            self._submit(self._address)
        while self._flush(self._address):
            pass
        raw = self._digests.raw
        return [raw[at:at + 32] for at in range(0, 32 * len(places), 32)]


@functools.cache
def library() -> tuple[Any, int] | None:
    """The library, and the length of its jobs; None where there is none."""
    for name in _NAMES:
        try:
            found = ctypes.CDLL(name)
        except OSError:
            continue
        found.imb_get_version_str.restype = ctypes.c_char_p
        job = _JOBS.get(found.imb_get_version_str().decode())
        if job is None:
            continue
        found.alloc_mb_mgr.argtypes = [ctypes.c_uint64]
        found.alloc_mb_mgr.restype = ctypes.c_void_p
        found.init_mb_mgr_auto.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        found.free_mb_mgr.argtypes = [ctypes.c_void_p]
        if _is_right(found, job):
            return found, job
    return None


def _is_right(found: Any, job: int) -> bool:
    """Compare digests with those of hashlib."""
    blocks = [bytes([number]) * 100 for number in range(LANES)]
    return Manager(found, job).digests(list(map(_place, blocks)), 100) == [
        hashlib.sha256(block).digest() for block in blocks]


def _place(data: bytes) -> int:
    """The address of the first byte."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


# Its methods are atomic, so that no lock is needed.
_idle: collections.deque[Manager] = collections.deque()


def digests(data: bytes, size: int, start: int = 0, stop: int | None = None
            ) -> list[bytes]:
    """The SHA-256 of each block.

    :param size: bytes of a block; the last one may have fewer
    :param start: where the first block begins
    :param stop: where the last one ends; where data has less, its digest is
        that of what is there
    """
    stop = len(data) if stop is None else stop
    zeros, of_zeros = _zeros(size) if size <= _LARGEST else (b'', b'')
    found: list[bytes] = []
    rest: list[int] = []
    for at in range(start, stop, size):
        # Most of a volume may be zeros: comparing them costs a tenth of what
        # hashing them does.
        if zeros and at + size <= stop and data.startswith(zeros, at):
            found.append(of_zeros)
        else:
            rest.append(at)
            found.append(b'')
    if len(rest) >= LANES and isinstance(data, bytes):
        # It would read what is behind the end, too.
        end, begin = min(stop, len(data)), _place(data)
        whole = [at for at in rest if at + size <= end]
        many = dict(zip(whole, _many([begin + at for at in whole], size),
                        strict=False))
        for at, digest in many.items():
            found[(at - start) // size] = digest
        rest = [at for at in rest if at not in many]
    view = memoryview(data)
    for at in rest:
        found[(at - start) // size] = hashlib.sha256(
            view[at:min(at + size, stop)]).digest()
    return found


def together() -> int:
    """How many blocks are worth having at a time."""
    return LANES if library() else 1


def each(blocks: list[bytes]) -> list[bytes]:
    """The SHA-256 of each block, of any lengths."""
    found = [b''] * len(blocks)
    by_length: dict[int, list[int]] = {}
    for number, block in enumerate(blocks):
        by_length.setdefault(len(block), []).append(number)
    for length, numbers in by_length.items():
        made = _many([_place(blocks[number]) for number in numbers], length)
        made += [hashlib.sha256(blocks[number]).digest()
                 for number in numbers[len(made):]]
        for number, digest in zip(numbers, made, strict=True):
            found[number] = digest
    return found


def _many(places: list[int], size: int) -> list[bytes]:
    """The digests of the first blocks, as many as fill all lanes.

    :param places: addresses, as of Manager.digests()
    """
    if len(places) < LANES:
        return []
    try:
        manager = _idle.pop()
    except IndexError:
        made = library()
        if made is None:
            return []
        manager = Manager(*made)
    found: list[bytes] = []
    for at in range(0, len(places) // LANES * LANES, LANES):
        found += manager.digests(places[at:at + LANES], size)
    _idle.append(manager)
    return found
