"""The order of unit tests and laws: another one in each run, so that none leans on what ran before it.

Tests of one file change places; files keep theirs, because the longest go first (Makefile). Flow tests keep their
order: those of a file share a Kafka and roles, which a story there may have changed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Final, TypeVar

#: Below `tests/`.
SHUFFLED: Final = ("laws", "unit")
AS_WRITTEN: Final = 0
_SEEDS: Final = 1_000_000

Test = TypeVar("Test")


def any_seed() -> int:
    """One that nobody chose; never `AS_WRITTEN`."""
    return random.SystemRandom().randrange(1, _SEEDS)


def within_files(tests: Iterable[Test], file_of: Callable[[Test], Path], root: Path, seed: int) -> list[Test]:
    """The tests in their order of this seed. A file that is run alone has the same order as among others."""
    found: list[Test] = []
    for file, here in groupby(tests, file_of):
        those = list(here)
        if seed != AS_WRITTEN and file.is_relative_to(root) and file.relative_to(root).parts[0] in SHUFFLED:
            random.Random(f"{seed}/{file.relative_to(root).as_posix()}").shuffle(those)
        found += those
    return found
