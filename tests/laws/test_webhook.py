"""The law of webhooks: whatever is killed, every event that an endpoint wants reaches it once and in order.

A request that comes again has the id and the bytes of before, so that a receiver which remembers ids has each event
once. The driver runs the code of the endpoint itself, over a broker and a receiver of its own.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.words import Platform
from pushcast.webhook import cut
from pushcast.webhook.cut import CommitMark, Line
from pushcast.webhook.patience import Said
from pushcast.wire import topics
from pushcast.wire.control.control import BreakerRecord, CanaryWord, Kind, Subject, encode
from pushcast.wire.times import rfc3339
from twins.books import receipt
from twins.webhooks import Broker, Receiver, Rig

#: (type, what tells an event from the others)
Told = tuple[str, str]


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


class World(NamedTuple):
    """A partition that is written, and what an endpoint should be told of it."""

    spot: tuple[str, int]
    keys: list[bytes] | None
    values: list[bytes | None]
    wanted: dict[str, Any]
    expected: list[Told]


def receipts(source: random.Random) -> World:
    """Of one type, and the endpoint wants some of them."""
    values, expected = list[bytes | None](), []
    for number in range(source.randint(1, 40)):
        outcome = source.choice(["accepted", "dead", "invalid"])
        fence = source.random() < 0.1
        values.append(None if fence else receipt(f"n{number}", "u", "d", outcome))
        if not fence and outcome != "dead":
            expected.append(("deliveries.ended", f"n{number}"))
    return World((topics.RECEIPT, 0), None, values, {"outcomes": ["accepted", "invalid"]}, expected)


def words(source: random.Random) -> World:
    """Of two types, in any order, among what the endpoint has not asked for."""
    keys, values, expected = list[bytes](), list[bytes | None](), []
    breaker, canary = (Subject(kind, "news", Platform.APNS) for kind in (Kind.BREAKER, Kind.CANARY))
    for number in range(source.randint(1, 40)):
        at_ms = number * 1000
        chance = source.random()
        if chance < 0.4:
            keys.append(breaker.key())
            values.append(encode(BreakerRecord("open", "timeout", at_ms, at_ms)))
            expected.append(("breaker.changed", rfc3339(at_ms)))
        elif chance < 0.8:
            keys.append(canary.key())
            values.append(encode(CanaryWord("failed", at_ms, reason="silent")))
            expected.append(("canary.failed", rfc3339(at_ms)))
        else:
            keys.append(canary.key())
            values.append(encode(CanaryWord("ok", at_ms)) if chance < 0.9 else None)
    wanted = {"events": ["canary.failed", "breaker.changed"]}
    return World((topics.CONTROL, 0), keys, values, wanted, expected)


def told(requests: list[tuple[str, bytes]]) -> list[Told]:
    """Of requests that the receiver did not know, in their order. Raises AssertionError for other bytes under an id
    that was there before."""
    known: dict[str, bytes] = {}
    found = []
    for request_id, body in requests:
        if request_id not in known:
            data = json.loads(body)
            events = next(value for name, value in data["data"].items() if name != "cursor")
            found += [(data["type"], event.get("notification") or event["at"]) for event in events]
        assert known.setdefault(request_id, body) == body, f"other bytes under {request_id}"
    return found


Make = Callable[[random.Random], World]


def run(folder: Path, seed: int, make: Make) -> tuple[list[Told], list[Told]]:
    """(what the endpoint should get, what it got, in order). Raises AssertionError as `told` does."""
    source = random.Random(seed)
    spot, keys, values, wanted, expected = make(source)
    logs = list(values)
    broker = Broker({spot: []}, {spot: (0, "")}, {} if keys is None else {spot: keys})
    receiver = Deadly(source)
    with asyncio.Runner() as runner:
        rig = Rig(folder, broker, receiver, **wanted)
        for turn in range(200):
            receiver.calm = turn >= 150
            if logs and (receiver.calm or source.random() < 0.5):
                count = len(logs) if receiver.calm else source.randint(1, 8)
                broker.logs[spot] += logs[:count]
                del logs[:count]
            try:
                rig.read(100 if receiver.calm else source.randint(0, 6), spot)
                rig.post(runner)
                if source.random() < 0.2:
                    rig.endpoint.spots.commit(rig.member, rig.endpoint.spots.lines)
                if not receiver.calm and source.random() < 0.1:
                    raise Killed
            except Killed:
                rig = Rig(folder, broker, receiver, **wanted)
    return expected, told(receiver.requests)


@pytest.fixture(autouse=True)
def small_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "MAX_EVENTS", 3)
    monkeypatch.setattr(cut, "WAIT_SECONDS", 0.0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), make=st.sampled_from([receipts, words]))
def test_every_event_arrives_once_and_in_order(seed: int, make: Make, tmp_path_factory: pytest.TempPathFactory) -> None:
    expected, found = run(tmp_path_factory.mktemp("hook"), seed, make)
    assert found == expected


def broken(folder: Path, make: Make = receipts) -> bool:
    for seed in range(40):
        try:
            expected, found = run(folder, seed, make)
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
    monkeypatch.setattr("pushcast.webhook.spots.read_mark", lambda _: CommitMark())
    assert broken(tmp_path)


def test_moving_on_after_a_failure_breaks_the_law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "failed", lambda self, _: self.taken(0.0))
    assert broken(tmp_path)


def test_a_request_with_events_of_two_types_breaks_the_law(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "_alike", lambda self: iter(self._events))
    assert broken(tmp_path, words)
