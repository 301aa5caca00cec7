"""What the C library keeps of memory that nobody uses: little, in a process that idles beside seven others."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Final

#: mallopt(3). By default each thread of librdkafka and of RocksDB, some thirty, gets a pool of its own.
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2
_M_MMAP_THRESHOLD: Final = -3
#: RocksDB takes what is written in blocks of an eighth of a write buffer.
_LARGE_BYTES: Final = 256 << 10
#: malloc(3): what is larger than 128 KiB gets pages of its own, and is in no gap.
_LARGEST_GAP_BYTES: Final = 120_000
#: Above it a gap is filled with a few blocks of several sizes, below with blocks of its very size.
_EXACT_BELOW_BYTES: Final = 1_400
_GRAIN_BYTES: Final = 16
_CHUNK_HEADER_BYTES: Final = 8
_SMALLEST_BYTES: Final = 24


class _Figures(ctypes.Structure):
    """`struct mallinfo2` of mallinfo(3), since version 2.33."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def share_pools() -> None:
    """Call it before threads start. Only the GNU C library has it; elsewhere nothing happens."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def keep_large_apart() -> None:
    """Blocks of 256 KiB and more get pages of their own, which go back to the kernel when they are free. Otherwise the
    C library raises that bound to the largest block that was freed, and those of RocksDB and of Kafka's client leave
    gaps between smaller ones. Call it before threads start. Only the GNU C library has it."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def give_back() -> None:
    """Gives free memory back to the kernel; a few milliseconds. Only the GNU C library has it."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def fill_gaps() -> None:
    """Takes, for as long as the process lives, all free blocks that lie between others in the C library's heap. About
    2 ms; call it before a fork.

    The first large allocation of a child sorts all free blocks, which copies the page around each: 3 MB in a fork of
    the supervisor, where they are 1 MB. Without gaps a child's memory comes from the end of the heap. Only the GNU C
    library has it.
    """
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        malloc, free, figures, end_of_heap = library.malloc, library.free, library.mallinfo2, library.sbrk
        figures.restype = _Figures
        malloc.restype = end_of_heap.restype = ctypes.c_void_p
        malloc.argtypes, free.argtypes = (ctypes.c_size_t,), (ctypes.c_void_p,)
        end_of_heap.argtypes = (ctypes.c_ssize_t,)
        # Where the heap grows: what lies below is finite, and so is this.
        end = end_of_heap(0) - figures().keepcost
        size = _LARGEST_GAP_BYTES
        while size >= _SMALLEST_BYTES:
            block = malloc(size)
            if block is None or block >= end:
                free(block)
                size = _next_size(size)


def _next_size(size: int) -> int:
    """Of blocks to be taken after those of this size: the usable size of the next smaller block of malloc's."""
    if size > _EXACT_BELOW_BYTES:
        return size * 3 // 4
    return (size - _CHUNK_HEADER_BYTES - 1) // _GRAIN_BYTES * _GRAIN_BYTES + _CHUNK_HEADER_BYTES
