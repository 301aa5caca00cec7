"""The law of webhooks: whatever is killed, every event that an endpoint wants reaches it once and in order.

A request that comes again has the id and the bytes of before, so that a receiver which remembers ids has each event
once. The driver runs the code of the endpoint itself, over a broker and a receiver of its own.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.webhook import cut
from pushcast.webhook.cut import Line, Mark
from pushcast.webhook.patience import Said
from pushcast.wire import topics
from twins.books import receipt
from twins.webhooks import Broker, Receiver, Rig

SPOT = topics.RECEIPT, 0


class Killed(BaseException):
    """The process is no more, at this very place."""


class Deadly(Receiver):
    """Takes, refuses, and kills the process before or after it has taken."""

    def __init__(self, source: random.Random) -> None:
        super().__init__()
        self.source = source
        self.calm = False

    async def post(self, request_id: str, *more: Any) -> Said:
        chance = 1.0 if self.calm else self.source.random()
        if chance < 0.2:
            raise Killed
        said = await super().post(request_id, *more)
        if chance < 0.4:
            raise Killed
        if chance < 0.6:
            self.requests.pop()  # it did not look at it
            return Said("http_500")
        return said


def records(source: random.Random) -> list[bytes | None]:
    outcomes = ["accepted", "dead", "invalid"]
    return [
        None if source.random() < 0.1 else receipt(f"n{number}", "u", "d", source.choice(outcomes))
        for number in range(source.randint(1, 40))
    ]


def run(folder: Path, seed: int) -> tuple[list[str], list[str]]:
    """(ids that the endpoint should get, those that it got, in order). Raises AssertionError for other bytes under an
    id that was there before."""
    source = random.Random(seed)
    logs = records(source)
    broker = Broker({SPOT: []}, {SPOT: (0, "")})
    receiver = Deadly(source)
    wanted = {"outcomes": ["accepted", "invalid"]}
    with asyncio.Runner() as runner:
        rig = Rig(folder, broker, receiver, **wanted)
        for turn in range(200):
            receiver.calm = turn >= 150
            if logs and (receiver.calm or source.random() < 0.5):
                count = len(logs) if receiver.calm else source.randint(1, 8)
                broker.logs[SPOT] += logs[:count]
                del logs[:count]
            try:
                rig.read(100 if receiver.calm else source.randint(0, 6))
                rig.post(runner)
                if source.random() < 0.2:
                    rig.endpoint._commit(rig.member, rig.endpoint._lines)
                if not receiver.calm and source.random() < 0.1:
                    raise Killed
            except Killed:
                rig = Rig(folder, broker, receiver, **wanted)
    known: dict[str, bytes] = {}
    for request_id, body in receiver.requests:
        assert known.setdefault(request_id, body) == body, f"other bytes under {request_id}"
    expected = [
        f"n{number}" for number, value in enumerate(broker.logs[SPOT]) if value is not None and b"dead" not in value
    ]
    return expected, [event["notification"] for event in receiver.events()]


@pytest.fixture(autouse=True)
def small_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "MAX_EVENTS", 3)
    monkeypatch.setattr(cut, "WAIT_SECONDS", 0.0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_event_arrives_once_and_in_order(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    expected, found = run(tmp_path_factory.mktemp("hook"), seed)
    assert found == expected


def broken(folder: Path) -> bool:
    for seed in range(40):
        try:
            expected, found = run(folder, seed)
        except AssertionError:
            return True
        if expected != found:
            return True
    return False


def test_a_cut_that_is_not_committed_before_the_first_try_breaks_the_law(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Line, "position", property(lambda self: (self.first, self.mark._replace(last=None))))
    assert broken(tmp_path)


def test_a_successor_that_decides_anew_breaks_the_law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.webhook.endpoint.read_mark", lambda _: Mark())
    assert broken(tmp_path)


def test_moving_on_after_a_failure_breaks_the_law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "failed", lambda self, _: self.taken(0.0))
    assert broken(tmp_path)
