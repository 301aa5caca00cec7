"""`pushcast seal`: the keyring from its first key to the retirement of it."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.cli import build
from pushcast.model.errors import PushcastError
from pushcast.settle import keyring_use
from pushcast.stream.token_keys import read_keys
from pushcast.wire.sealing.keyring import KeyringRole
from pushcast.wire.sealing.keyring_holders import Holder

DAY_MS = 86_400_000
RUNNER = CliRunner()


class Bench:
    """A keyring in a folder, a cluster that the test makes up, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keyring.json"
        self.outer = folder / "kek"
        self.holders: list[Holder] = []
        self.rows: Counter[str] = Counter()
        self.seals: Counter[str] = Counter()
        self.now_ms = 1_800_000_000_000

    def run(self, *arguments: str) -> str:
        found = RUNNER.invoke(build(["seal", "key"]), ["seal", *arguments, "--keyring", str(self.file)])
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert found.exit_code == 0, found.output
        return found.output

    def refused(self, *arguments: str) -> str:
        with pytest.raises(PushcastError) as error:
            self.run(*arguments)
        return str(error.value)

    def states(self) -> dict[str, str]:
        return {key["id"]: key["state"] for key in json.loads(self.file.read_text())["keys"]}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    nothing: Any = object()
    monkeypatch.setattr("pushcast.cli.seal.connect", lambda: nothing)
    monkeypatch.setattr("pushcast.cli.seal._now_ms", lambda: made.now_ms)
    monkeypatch.setattr(keyring_use, "holders", lambda settings, now_ms: made.holders)
    monkeypatch.setattr(keyring_use, "rows_by_key", lambda settings: made.rows)
    monkeypatch.setattr(keyring_use, "seals_by_key", lambda settings: made.seals)
    made.run("add", "t1", "--outer", str(made.outer))
    return made


def holder(role: KeyringRole, sealing: str | None, *ids: str) -> Holder:
    return Holder(role, "host-1", 7, frozenset(ids), sealing, 0)


def test_a_new_keyring_has_a_key_that_seals_and_is_for_its_owner_alone(bench: Bench) -> None:
    assert bench.states() == {"t1": "seal"}
    assert read_keys(bench.file, KeyringRole.REGISTRAR).sealing == "t1"
    for file in (bench.file, bench.outer):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "t1" in bench.refused("add", "t1")


def test_a_part_holds_what_its_role_needs(bench: Bench, tmp_path: Path) -> None:
    part = tmp_path / "sender.json"
    bench.run("part", "sender", "--to", str(part))
    assert read_keys(part, KeyringRole.SENDER).ids == {"t1"}
    assert "hash_key" not in json.loads(part.read_text())


def test_a_key_takes_anothers_place_step_by_step(bench: Bench) -> None:
    """Acceptance fact 45: add, promote, seal anew, retire; earlier it is refused with counts."""
    bench.run("add", "t2")
    bench.holders = [holder(KeyringRole.REGISTRAR, "t1", "t1", "t2"), holder(KeyringRole.SENDER, None, "t1")]
    bench.rows.update({"t1": 10_000})
    assert "sender host-1:7" in bench.refused("promote", "t2")
    bench.holders[1] = holder(KeyringRole.SENDER, None, "t1", "t2")
    bench.run("promote", "t2")
    assert bench.states() == {"t2": "seal", "t1": "open"}
    assert "still seal with t1" in bench.refused("retire", "t1")
    bench.holders[0] = holder(KeyringRole.REGISTRAR, "t2", "t1", "t2")
    assert "10,000 rows" in bench.refused("retire", "t1")
    bench.rows = Counter({"t2": 10_000})
    assert "28.0 more days" in bench.refused("retire", "t1")
    bench.now_ms += 27 * DAY_MS
    assert "1.0 more days" in bench.refused("retire", "t1")
    bench.now_ms += DAY_MS
    bench.run("retire", "t1")
    assert bench.states() == {"t2": "seal"}


def test_a_row_that_comes_back_begins_the_28_days_anew(bench: Bench) -> None:
    bench.run("add", "t2")
    bench.run("promote", "t2")
    bench.refused("retire", "t1")
    bench.now_ms += 28 * DAY_MS
    bench.rows = Counter({"t1": 1})
    assert "1 rows" in bench.refused("retire", "t1")
    bench.rows = Counter()
    assert "28.0 more days" in bench.refused("retire", "t1")


def test_the_status_shows_rows_and_who_does_not_hold_a_key(bench: Bench) -> None:
    bench.run("add", "t2")
    bench.holders = [holder(KeyringRole.REGISTRAR, "t1", "t1", "t2"), holder(KeyringRole.SENDER, None, "t1")]
    bench.rows = Counter({"t1": 3, "": 2})
    found = json.loads(bench.run("status", "--output", "json"))
    assert [(key["id"], key["rows"], key["held"], key["missing"]) for key in found["keys"]] == [
        ("t2", 0, 1, ["sender host-1:7"]),
        ("t1", 3, 2, []),
    ]
    assert found["plain_rows"] == 2
    assert "t1  seal  3 rows  0 seals  held by 2" in bench.run("status")


def test_the_status_says_which_key_has_sealed_too_often(bench: Bench) -> None:
    bench.seals = Counter({"t1": 2**31})
    [key] = json.loads(bench.run("status", "--output", "json"))["keys"]
    assert (key["seals"], key["worn"]) == (2**31, True)
    assert "2,147,483,648 seals, worn: let another key seal" in bench.run("status")


def test_a_keyring_that_is_not_there_needs_an_outer_key(bench: Bench) -> None:
    bench.file = bench.file.with_name("other.json")
    assert "--outer" in bench.refused("add", "t1")
