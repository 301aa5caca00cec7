from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushcast.model.clock import ManualClock
from pushcast.model.words import Platform
from pushcast.providers.log.client import LogProvider
from pushcast.providers.log.credentials import LogFile
from pushcast.providers.port import Disposition, Provider, Result
from unit.providers.messages import message


def provider(path: Path) -> Provider:
    return LogProvider("news", Platform.FCM, LogFile(path), ManualClock())


async def send(log: Provider, indices: list[int], **options: object) -> list[Result]:
    results: list[Result] = []
    await log.send(message([b"secret-token"] * 3, **options), indices, results.extend)  # type: ignore[arg-type]
    return results


async def test_each_target_is_a_line_without_its_token(tmp_path: Path) -> None:
    log = provider(tmp_path / "log")
    results = await send(log, [0, 2], title="Goal!")
    await log.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert [line["delivery"] for line in lines] == [result.provider_id for result in results]
    assert [(result.target, result.disposition) for result in results] == [
        (0, Disposition.ACCEPTED),
        (2, Disposition.ACCEPTED),
    ]
    assert lines[0]["title"] == "Goal!"
    assert b"secret" not in (tmp_path / "log").read_bytes()


async def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    results = await send(provider(tmp_path / "log"), [0], dry_run=True)
    assert results[0].disposition is Disposition.ACCEPTED
    assert not (tmp_path / "log").exists()


async def test_what_may_not_leave_is_not_written(tmp_path: Path) -> None:
    results: list[Result] = []
    await provider(tmp_path / "log").send(message([b"t"] * 2), [0, 1], results.extend, lambda: False)
    assert [(result.disposition, result.reason) for result in results] == [(Disposition.UNSENT, "not_sent_in_time")] * 2
    assert not (tmp_path / "log").exists()


async def test_a_file_that_was_moved_away_is_opened_again(tmp_path: Path) -> None:
    log = provider(tmp_path / "log")
    await send(log, [0])
    (tmp_path / "log").rename(tmp_path / "log.1")
    await send(log, [1])
    await log.close()
    assert [len((tmp_path / name).read_bytes().splitlines()) for name in ("log", "log.1")] == [1, 1]


@pytest.mark.parametrize("path", ["none/log", "."])
async def test_what_cannot_be_written_is_for_later(tmp_path: Path, path: str) -> None:
    results = await send(provider(tmp_path / path), [0, 1, 2])
    assert {(result.disposition, result.reason) for result in results} == {(Disposition.RETRY, "provider_unavailable")}


async def test_forbidden_is_a_matter_of_the_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: LogFile, lines: bytes) -> None:
        raise PermissionError

    monkeypatch.setattr(LogFile, "write", refuse)
    assert {result.disposition for result in await send(provider(tmp_path / "log"), [0])} == {Disposition.CREDENTIAL}


async def test_a_line_that_is_too_long_is_rejected(tmp_path: Path) -> None:
    results = await send(provider(tmp_path / "log"), [0], body="x" * 5000)
    assert (results[0].disposition, results[0].reason) == (Disposition.REJECTED, "payload_too_large")
