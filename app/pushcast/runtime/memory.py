"""What the C library keeps of memory that nobody uses: little, in a process that idles beside seven others."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Final

#: mallopt(3). By default each thread of librdkafka and of RocksDB, some thirty, gets a pool of its own.
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def share_pools() -> None:
    """Call it before threads start. Only the GNU C library has it; elsewhere nothing happens."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Gives free memory back to the kernel; a few milliseconds. Only the GNU C library has it."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
