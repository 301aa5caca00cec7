from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from pushcast.runtime.memory import fill_gaps, give_back, keep_large_apart, share_pools


class Without:
    """A C library without the GNU one's calls."""


def test_where_the_c_library_has_no_such_calls_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Without())
    share_pools()
    keep_large_apart()
    give_back()
    fill_gaps()


def test_it_asks_for_two_pools_and_for_a_trim(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    class Library:
        def mallopt(self, *arguments: int) -> None:
            asked.append(("mallopt", *arguments))

        def malloc_trim(self, pad: int) -> None:
            asked.append(("malloc_trim", pad))

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library())
    share_pools()
    give_back()
    assert asked == [("mallopt", -8, 2), ("malloc_trim", 0)]


#: Prints how many bytes a block of 1 MiB takes beside the heap, after one of 8 MiB was freed.
LARGE = """
import ctypes, sys
from pushcast.runtime import memory

library = ctypes.CDLL(None)
library.mallinfo2.restype, library.malloc.restype = memory._Figures, ctypes.c_void_p
library.malloc.argtypes, library.free.argtypes = (ctypes.c_size_t,), (ctypes.c_void_p,)
if "apart" in sys.argv:
    memory.keep_large_apart()
library.free(library.malloc(8 << 20))
before = library.mallinfo2().hblkhd
library.malloc(1 << 20)
print(library.mallinfo2().hblkhd - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only the GNU C library has it")
@pytest.mark.parametrize(("word", "beside"), [("apart", True), ("together", False)])
def test_large_blocks_lie_beside_the_heap_whatever_was_freed_before(word: str, beside: bool) -> None:
    ran = subprocess.run([sys.executable, "-c", LARGE, word], capture_output=True, text=True, check=True)
    assert (int(ran.stdout) >= 1 << 20) == beside


#: Prints how many free blocks lie between others, before and after.
GAPS = """
import ctypes
from pushcast.runtime import memory

library = ctypes.CDLL(None)
library.mallinfo2.restype = memory._Figures
kept = [bytearray(2_000 + number) for number in range(4_000)]
del kept[::2]
before = library.mallinfo2().ordblks
memory.fill_gaps()
print(before, library.mallinfo2().ordblks)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only the GNU C library has it")
def test_no_gap_is_left_between_the_blocks_of_a_heap() -> None:
    ran = subprocess.run([sys.executable, "-c", GAPS], capture_output=True, text=True, check=True)
    before, after = map(int, ran.stdout.split())
    assert before > 1_500
    assert after < 10
