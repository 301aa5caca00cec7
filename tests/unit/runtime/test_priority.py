"""Yielding the CPU."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pushcast.runtime.priority import stand_apart


@pytest.fixture
def niced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the process was niced by; neither it nor its session changes."""
    by: list[int] = []
    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(os, "nice", by.append)
    return by


class Kernel:
    """Stands for /proc/self/autogroup. `answers`: the errors that it gives at first."""

    def __init__(self, *answers: int) -> None:
        self._answers = list(answers)
        self.took: list[str] = []

    def exists(self) -> bool:
        return True

    def write_text(self, value: str) -> None:
        if self._answers:
            number = self._answers.pop(0)
            raise OSError(number, os.strerror(number))
        self.took.append(value)


def test_the_session_yields_as_the_process_does(niced: list[int], tmp_path: Path) -> None:
    autogroup = tmp_path / "autogroup"
    autogroup.touch()
    stand_apart(10, autogroup=autogroup)
    assert (niced, autogroup.read_text()) == ([10], "10")


def test_a_kernel_without_session_groups_needs_the_process_alone(niced: list[int], tmp_path: Path) -> None:
    stand_apart(5, autogroup=tmp_path / "none")
    assert niced == [5]
    assert not list(tmp_path.iterdir())


def test_what_yields_to_nobody_is_left_as_it_is(niced: list[int]) -> None:
    kernel: Any = Kernel()
    stand_apart(0, autogroup=kernel)
    assert (niced, kernel.took) == ([], [])


def test_a_kernel_that_takes_few_changes_a_second_is_asked_again(niced: list[int]) -> None:
    kernel: Any = Kernel(errno.EAGAIN, errno.EAGAIN)
    waited: list[float] = []
    stand_apart(5, autogroup=kernel, sleep=waited.append)
    assert (kernel.took, len(waited)) == (["5"], 2)


@pytest.mark.parametrize("answers", [[errno.EPERM], [errno.EAGAIN] * 1000])
def test_a_session_that_cannot_yield_is_told_and_the_role_starts(niced: list[int], answers: list[int]) -> None:
    kernel: Any = Kernel(*answers)
    with capture_logs() as lines:
        stand_apart(5, autogroup=kernel, sleep=lambda _: None)
    assert [line["event"] for line in lines] == ["session_keeps_its_share"]
    assert (niced, kernel.took) == ([5], [])
