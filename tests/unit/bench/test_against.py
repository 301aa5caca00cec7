"""Two commits measured in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pushcast.bench.against import Side, here, in_turn, side
from pushcast.bench.pairs import pair_told
from pushcast.model.errors import PushcastError

HERE, THERE = Side(Path("here"), "python", "new"), Side(Path("there"), "python", "old")


def test_each_pair_begins_with_the_side_that_the_last_one_ended_with() -> None:
    order: list[str] = []

    def measure(one: Side) -> dict[str, Any]:
        order.append(one.commit)
        return {"run": len(order), "rows": []}

    def ran(*runs: int) -> list[dict[str, Any]]:
        return [{"run": run, "rows": []} for run in runs]

    results = in_turn((HERE, THERE), 3, measure, lambda _: None)
    assert order == ["new", "old", "old", "new", "new", "old"]
    assert results == (ran(1, 4, 5), ran(2, 3, 6))


def test_what_a_pair_says_is_told_when_it_is_over_whatever_comes_after_it() -> None:
    told: list[str] = []
    seconds = iter([3.0, 2.0, 1.0])

    def measure(_: Side) -> dict[str, Any]:
        return {"rows": [{"name": "plan", "items": 10, "cpu_seconds": next(seconds)}]}

    with pytest.raises(StopIteration):
        in_turn((HERE, THERE), 2, measure, told.append)
    assert [line for line in told if "of" not in line] == ["pair 1: plan 1.500"]


def test_a_pair_without_a_common_row_says_so() -> None:
    assert pair_told({"rows": []}, {"rows": []}) == "no common row"


def test_this_side_is_the_checkout_that_runs_these_tests() -> None:
    assert here().folder == Path(__file__).parents[3]
    assert here().commit


def test_a_folder_without_pushcast_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PushcastError, match=f"{tmp_path} has no app/pushcast"):
        side(tmp_path)


def checkout(folder: Path) -> Path:
    package = folder / "app" / "pushcast"
    package.mkdir(parents=True)
    for name in ("__init__.py", "__main__.py"):
        (package / name).touch()
    return folder


def test_a_checkout_without_an_interpreter_of_its_own_is_run_by_ours(tmp_path: Path) -> None:
    found = side(checkout(tmp_path))
    assert found.folder == tmp_path
    assert found.python == here().python


def test_an_interpreter_that_runs_other_code_than_the_folders_is_refused(tmp_path: Path) -> None:
    python = checkout(tmp_path) / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho /elsewhere/pushcast/__init__.py\n")
    python.chmod(0o755)
    with pytest.raises(PushcastError, match="does not run the code"):
        side(tmp_path)
