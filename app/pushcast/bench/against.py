"""`bench NAME --against WORKTREE`: the same benchmark of two commits in turn, each with its own code.

Each run is a `pushcast bench` of its own, with a fresh Kafka and fresh processes, so that nothing of one side is left
for the other. Which side goes first changes from pair to pair: a machine that gets slower or warmer favours neither.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pushcast
from pushcast.bench.base import Say, machine
from pushcast.bench.pairs import Compared, compare, pair_told
from pushcast.model.errors import PushcastError

RUN_SECONDS: Final = 900.0
LOG_CHARACTERS: Final = 2_000

Measure = Callable[["Side"], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Side:
    """A checked-out commit and the interpreter that runs it."""

    folder: Path
    python: str
    commit: str  # short; `+` behind it: with changes that are not committed


def side(folder: Path) -> Side:
    """Raises PushcastError when the folder is no checkout of Pushcast, or its own interpreter runs other code."""
    package = folder / "app" / "pushcast"
    if not (package / "__main__.py").is_file():
        raise PushcastError(f"{folder} has no app/pushcast: --against takes the folder of a checked-out commit")
    own = folder / ".venv" / "bin" / "python"
    found = Side(folder, str(own) if own.is_file() else sys.executable, _commit(folder))
    done = subprocess.run(
        [found.python, "-c", "import pushcast; print(pushcast.__file__)"],
        env=_environment(found),
        capture_output=True,
        text=True,
        check=False,
    )
    if Path(done.stdout.strip()).parent != package:
        raise PushcastError(f"{found.python} does not run the code in {folder}: {done.stdout or done.stderr}")
    return found


def here() -> Side:
    """The commit that this process runs."""
    return side(Path(pushcast.__file__).parents[2])


def run(arguments: Sequence[str], there: Path, pairs: int, limit_percent: float, say: Say) -> dict[str, Any]:
    """Runs `pushcast bench ARGUMENTS` of both commits that often; blocks for all of it. Raises PushcastError."""
    sides = here(), side(there.resolve())
    say(f"{sides[0].commit} (here) against {sides[1].commit}, {pairs} pairs")
    try:
        results = in_turn(sides, pairs, lambda one: _measured(one, arguments), say)
        rows, missing = compare(*results, limit_percent)
    except ValueError as error:
        raise PushcastError(str(error)) from error
    for name in missing:
        say(f"{name}: left out, not every run of both commits has it")
    if not rows:
        raise PushcastError("no row that every run of both commits has")
    return _shown(sides, arguments, rows)


def in_turn(
    sides: tuple[Side, Side], pairs: int, measure: Measure, say: Say
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A result of each side per pair. Odd pairs begin with the other side. What a pair says is told when it is over, so
    that a run that is broken off has said what it knows."""
    results: dict[Path, list[dict[str, Any]]] = {one.folder: [] for one in sides}
    for number in range(pairs):
        for one in sides if number % 2 == 0 else reversed(sides):
            say(f"pair {number + 1} of {pairs}: {one.commit}")
            results[one.folder].append(measure(one))
        say(f"pair {number + 1}: {pair_told(*(results[one.folder][-1] for one in sides))}")
    return results[sides[0].folder], results[sides[1].folder]


def _measured(one: Side, arguments: Sequence[str]) -> dict[str, Any]:
    command = [one.python, "-m", "pushcast", "bench", *arguments, "--output", "json"]
    try:
        done = subprocess.run(
            command, env=_environment(one), capture_output=True, text=True, timeout=RUN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PushcastError(f"the benchmark of {one.commit} was not over in {RUN_SECONDS:.0f} s") from error
    if done.returncode:
        raise PushcastError(f"the benchmark of {one.commit} ended with {done.returncode}:\n{_end(done.stderr)}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _environment(one: Side) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(one.folder / "app")}


def _end(log: str) -> str:
    return log[-LOG_CHARACTERS:]


def _commit(folder: Path) -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short", "HEAD") or folder.name) + changed


def _shown(sides: tuple[Side, Side], arguments: Sequence[str], rows: Sequence[Compared]) -> dict[str, Any]:
    setup = machine() | {
        "bench": " ".join(arguments),
        "commit": sides[0].commit,
        "against_commit": sides[1].commit,
        "ratio": "CPU per item of commit / of against_commit, median of the pairs",
    }
    return {"setup": setup, "rows": [row.to_dict() for row in rows]}
