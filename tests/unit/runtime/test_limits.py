"""Open files, and kernels that allow fewer than their hard limit says, as macOS does."""

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


@pytest.fixture
def kernel(limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The hard limit is unlimited; what the kernel takes at most is the last number."""
    limits.append((256, resource.RLIM_INFINITY))
    most = [10_240]

    def setrlimit(_: int, pair: tuple[int, int]) -> None:
        if pair[0] > most[-1]:
            raise ValueError("current limit exceeds maximum limit")
        limits.append(pair)

    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    return most


def test_a_kernel_with_a_bound_of_its_own_gives_what_it_has(limits: list[tuple[int, int]], kernel: list[int]) -> None:
    allow_open_files(partitions=256, tables=1)
    assert 512 + 8 * 256 <= limits[-1][0] <= kernel[-1]


def test_a_kernel_that_gives_less_than_is_needed_is_refused_with_both_numbers(
    limits: list[tuple[int, int]], kernel: list[int]
) -> None:
    kernel.append(2_000)
    with pytest.raises(ConfigurationError, match="2560 open files are needed, the limit is 256"):
        allow_open_files(partitions=256, tables=1)


def test_a_limit_that_suffices_stays_where_the_kernel_gives_no_more(
    limits: list[tuple[int, int]], kernel: list[int]
) -> None:
    kernel.append(2_000)
    limits.append((4_000, resource.RLIM_INFINITY))
    allow_open_files(partitions=256, tables=1)
    assert limits[-1] == (4_000, resource.RLIM_INFINITY)
