"""Planners do not start beside processes of an older release: rulings II.44."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from pushcast.handover.reading import Span, Spot, TailUnreadable
from pushcast.model.words import Lane
from pushcast.runtime.older import RECENT_MS, OlderReleaseRuns, OlderReleases, read_before_planners
from pushcast.wire import groups
from pushcast.wire.control.where import RELEASE, Where, encode, key_of
from pushcast.wire.topics import WHERE

NOW = 1_800_000_000_000
PLANNERS = groups.plan(Lane.NORMAL)
OLD = Where("a", "host-1", 11, 1_000, RELEASE - 1)
NEW = Where("b", "host-2", 22, 2_000, RELEASE)


class Message:
    def __init__(self, key: bytes | None, value: bytes | None, at_ms: int) -> None:
        self._said = key, value, at_ms

    def key(self) -> bytes | None:
        return self._said[0]

    def value(self) -> bytes | None:
        return self._said[1]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._said[2]


class Reader:
    """Of the topic. `later`: what is written while somebody waits."""

    def __init__(self) -> None:
        self.log: list[Message] = []
        self.later: list[Message] = []
        self.waited: list[float] = []
        self.broken = False

    def say(self, who: Where, group: str = PLANNERS, slot: str = "s", *, ago_ms: int = 1_000) -> Message:
        return Message(key_of(group, slot), encode(who), NOW - ago_ms)

    async def ends(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        if self.broken:
            raise TailUnreadable("no broker")
        return {spot: len(self.log) for spot in spots}

    async def since(self, spots: Iterable[Spot], at_ms: int) -> dict[Spot, int]:
        if self.broken:
            raise TailUnreadable("no broker")
        young = (number for number, message in enumerate(self.log) if message.timestamp()[1] >= at_ms)
        return dict.fromkeys(spots, next(young, len(self.log)))

    async def read(self, spans: Mapping[Spot, Span], on_record: Callable[[Any], None]) -> None:
        [(first, end)] = spans.values()
        assert set(spans) == {(WHERE, 0)}
        for message in self.log[first:end]:
            on_record(message)

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.log += self.later

    async def start(self, *mine: bytes, lanes: Iterable[Lane] = (Lane.NORMAL,), pids: Iterable[int] = ()) -> None:
        """A planner starts."""
        await OlderReleases(self, lives=lambda pid: pid in pids).require_none(
            read_before_planners(lanes), mine, now_ms=NOW, session_timeout_seconds=10.0, sleep=self.sleep
        )


async def test_a_planner_ends_beside_an_older_one_that_says_again_that_it_runs_and_names_it() -> None:
    kafka = Reader()
    kafka.log = [kafka.say(OLD), kafka.say(NEW, slot="t")]
    kafka.later = [kafka.say(OLD, ago_ms=0), kafka.say(NEW, slot="t", ago_ms=0)]
    with pytest.raises(OlderReleaseRuns, match=r"pid 11 on host host-1 \(slot s of pushcast-plan-normal\)") as caught:
        await kafka.start()
    assert caught.value.exit_code == 2
    assert "host-2" not in str(caught.value)
    assert "plan.beside_older" in str(caught.value)
    assert kafka.waited == [20.0]


async def test_one_that_was_stopped_says_nothing_more_and_the_planner_starts() -> None:
    kafka = Reader()
    kafka.log = [kafka.say(OLD)]
    await kafka.start()
    assert kafka.waited == [20.0]


async def test_where_its_successor_in_the_slot_is_new_nobody_is_waited_for() -> None:
    kafka = Reader()
    kafka.log = [kafka.say(OLD), kafka.say(NEW)]
    await kafka.start()
    assert kafka.waited == []


@pytest.mark.parametrize(
    ("group", "refused"),
    [
        (groups.REGISTER, True),
        (groups.SETTLE, True),
        ("pushcast-send-apns-normal", True),
        ("pushcast-send-apns-bulk", False),
        (groups.plan(Lane.BULK), False),
        (groups.KEEP, False),  # keepers come last
    ],
)
async def test_who_comes_before_planners_of_its_lanes_is_asked_for(group: str, *, refused: bool) -> None:
    kafka = Reader()
    kafka.log = [kafka.say(OLD, group)]
    kafka.later = [kafka.say(OLD, group, ago_ms=0)]
    if refused:
        with pytest.raises(OlderReleaseRuns):
            await kafka.start()
    else:
        await kafka.start()
        assert kafka.waited == []


async def test_its_own_predecessor_and_who_is_long_gone_and_who_died_on_this_host_are_not_waited_for() -> None:
    kafka = Reader()
    here = Where("c", socket.gethostname(), 33, 1_000, RELEASE - 1)
    kafka.log = [
        kafka.say(OLD, slot="mine"),
        kafka.say(OLD, slot="gone", ago_ms=RECENT_MS + 1),
        kafka.say(here, slot="dead"),
    ]
    await kafka.start(key_of(PLANNERS, "mine"))
    assert kafka.waited == []
    await kafka.start(key_of(PLANNERS, "mine"), pids=[33])
    assert kafka.waited == [20.0], "that one runs"


async def test_what_is_no_word_of_a_process_is_left_out() -> None:
    kafka = Reader()
    key = key_of(PLANNERS, "s")
    said = (key, b"{"), (key, None), (None, b"{}"), (b"report/3", b"{}")
    kafka.log = [Message(name, value, NOW) for name, value in said]
    await kafka.start()
    assert kafka.waited == []


async def test_where_nobody_can_tell_the_planner_starts_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    kafka = Reader()
    kafka.broken = True
    await kafka.start()
    assert "is not known" in caplog.text


async def test_status_names_those_that_have_said_so_lately() -> None:
    kafka = Reader()
    kafka.log = [kafka.say(OLD), kafka.say(OLD, slot="t", ago_ms=60_000), kafka.say(NEW, slot="u")]
    told = await OlderReleases(kafka).told({PLANNERS}, NOW - 30_000)
    assert [(each.slot, each.where.pid) for each in told] == [("s", 11)]


def test_a_process_of_this_host_is_looked_for_by_its_id() -> None:
    assert OlderReleases(Reader())._lives(os.getpid())
    assert not OlderReleases(Reader())._lives(2**22 + 1)
