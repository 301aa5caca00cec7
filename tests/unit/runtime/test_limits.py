from __future__ import annotations

import resource

import pytest

from pushcast.model.errors import ConfigurationError
from pushcast.runtime.limits import allow_open_files


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The last pair holds."""
    held = [(256, 65_536)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: held[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: held.append(pair))
    return held


def test_a_low_soft_limit_is_raised_to_what_the_tables_may_need(limits: list[tuple[int, int]]) -> None:
    allow_open_files(partitions=64, tables=1)
    assert limits[-1] == (512 + 64 * 64, 65_536)


def test_no_more_is_asked_for_than_the_hard_limit_allows(limits: list[tuple[int, int]]) -> None:
    limits.append((256, 2000))
    allow_open_files(partitions=64, tables=1)
    assert limits[-1] == (2000, 2000)


def test_what_can_never_work_is_refused_with_both_numbers(limits: list[tuple[int, int]]) -> None:
    limits.append((256, 1024))
    with pytest.raises(ConfigurationError, match="256 partitions need about 2560 open files and the limit is 1024"):
        allow_open_files(partitions=256, tables=1)


def test_a_limit_that_is_high_enough_stays(limits: list[tuple[int, int]]) -> None:
    limits.append((10_000, 65_536))
    allow_open_files(partitions=8, tables=3)
    assert limits[-1] == (10_000, 65_536)
