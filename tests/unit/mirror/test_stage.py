"""The stage with a twin of the project: what is told, what waits, what is given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, cast

import pytest

from pushcast.mirror.agent import MirrorStage
from pushcast.mirror.decide import GIVE_UP_MS
from pushcast.mirror.project import Project
from pushcast.model.clock import ManualClock
from pushcast.model.ownership import Token, TokenHolder, TokenTopics
from pushcast.providers.fcm.subscriptions import SubscriptionChange
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.tracker import Record, Tracker
from pushcast.wire import headers as h
from pushcast.wire.devices.ownership import encode_topics
from pushcast.wire.sealing.seals import Place, TokenKeys
from pushcast.wire.topics import TOKEN_TOPICS
from twins.kafka import OPEN, settled
from unit.register.twin import T0, TwinKafka, record

DONE = Verdict(Disposition.ACCEPTED, None)
AWAY = Verdict(Disposition.CREDENTIAL, "credential_refused")
KEY = bytes(32)


class TwinSubscriptions:
    """What FCM knows. `answers`: by address, instead of taking it."""

    def __init__(self, clock: ManualClock) -> None:
        self.followed: dict[bytes, set[str]] = {}
        self.answers: dict[bytes, Verdict] = {}
        self.asked: list[SubscriptionChange] = []
        self.pace = Pace(60_000, ramp_seconds=0.0, now_seconds=clock.monotonic_seconds())

    async def tell(self, changes: Sequence[SubscriptionChange]) -> list[Verdict]:
        self.asked += changes
        return [self._one(change) for change in changes]

    def _one(self, change: SubscriptionChange) -> Verdict:
        if (answer := self.answers.get(change.address)) is not None:
            return answer
        mine = self.followed.setdefault(change.address, set())
        (mine.add if change.follows else mine.discard)(change.topic)
        return DONE


class TwinWork:
    def partitions(self) -> list[TP]:
        return [TP(TOKEN_TOPICS, 0)]


class MirrorHarness:
    def __init__(self, keys: TokenKeys | None = None) -> None:
        self.clock = ManualClock(T0)
        self.kafka = TwinKafka()
        self.counters: Counter[tuple[str, str]] = Counter()
        self.fcm = TwinSubscriptions(self.clock)
        project = Project("news", cast(Any, self.fcm), ("a", "b"), self.clock, self._sleep)
        opened = keys or TokenKeys({}, None)
        self.stage = MirrorStage(
            {"news": project}, self.kafka, self.clock, self.counters, partitions=8, keys=lambda: opened
        )
        self.stage.work = cast(Any, TwinWork())
        self.tracker = Tracker(0, OPEN)

    async def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def feed(self, told: Iterable[TokenTopics | bytes | tuple[TokenTopics, h.Headers] | list[Any]]) -> Batch:
        """Records, junk, records with an author, or the headers of a fence."""
        records: list[Record] = []
        for offset, each in enumerate(told, self.tracker.next_offset):
            key, value, headers = self._of(each)
            records.append(record(TOKEN_TOPICS, 0, offset, key, value, headers, self.clock.now_ms()))
        batch = Batch(
            TP(TOKEN_TOPICS, 0),
            self.tracker,
            self.tracker.hand_over(records, self.tracker.arrive(records)),
            lambda: None,
        )
        await self.stage.handle(batch)
        await settled()  # what acknowledged dead letters complete
        return batch

    @staticmethod
    def _of(each: Any) -> tuple[bytes | None, bytes | None, Any]:
        if isinstance(each, list):
            return None, None, [*each, (h.FENCE, b"1")]
        if isinstance(each, bytes):
            return bytes(16), each, ()
        told, headers = each if isinstance(each[0], TokenTopics) else (each, ())
        return told.token.digest, encode_topics(told), headers

    def results(self) -> dict[str, int]:
        return {word.partition("|")[2]: count for (name, word), count in self.counters.items() if "topic" in name}


def told(number: int, *topics: str, app: str = "news", is_new: bool = False, key_id: str = "") -> TokenTopics:
    token = Token(app, "fcm", number.to_bytes(16, "big"))
    address = b"t-%d" % number
    if key_id:
        place = Place(app, "fcm", "token", "u", "d")
        _, address = TokenKeys({key_id: KEY}, key_id).seal(address, place, bytes(12))
    return TokenTopics(token, f"u\0{app}\0d".encode(), TokenHolder("token", address, key_id, topics), is_new)


async def test_fcm_knows_what_devices_follow_and_what_they_have_left() -> None:
    harness = MirrorHarness()
    harness.fcm.followed = {b"t-1": {"a"}}
    await harness.feed([told(1, "b", "unmirrored"), told(2, "a", is_new=True)])
    assert harness.fcm.followed == {b"t-1": {"b"}, b"t-2": {"a"}}
    assert harness.results() == {"left": 1, "followed": 2}
    assert harness.tracker.low == 2


async def test_of_one_token_the_last_word_alone_is_told() -> None:
    harness = MirrorHarness()
    await harness.feed([told(1, "a"), told(2, "a"), told(1)])
    assert [change for change in harness.fcm.asked if change.address == b"t-1"] == [
        SubscriptionChange(b"t-1", "a", follows=False),
        SubscriptionChange(b"t-1", "b", follows=False),
    ]
    assert harness.tracker.low == 3


async def test_a_sealed_address_is_opened_for_its_own_device() -> None:
    harness = MirrorHarness(TokenKeys({"k1": KEY}, None))
    await harness.feed([told(1, "a", key_id="k1")])
    assert harness.fcm.followed == {b"t-1": {"a"}}


async def test_an_address_that_was_moved_from_another_device_is_told_to_nobody() -> None:
    harness = MirrorHarness(TokenKeys({"k1": KEY}, None))
    await harness.feed([told(1, "a", key_id="k1")._replace(key=b"u\0news\0another")])
    assert harness.fcm.asked == []
    assert harness.results() == {"seal_broken": 1}
    assert harness.tracker.low == 1


async def test_a_device_that_fcm_does_not_know_is_over_and_holds_nobody_up() -> None:
    harness = MirrorHarness()
    harness.fcm.answers[b"t-1"] = Verdict(Disposition.INVALID, "unregistered")
    await harness.feed([told(1, "a", is_new=True), told(2, "a", is_new=True)])
    assert harness.results() == {"unregistered": 1, "followed": 1}
    assert harness.tracker.low == 2


async def test_a_project_that_refuses_is_asked_again_later_and_others_are_done() -> None:
    harness = MirrorHarness()
    harness.fcm.answers[b"t-1"] = AWAY
    with pytest.raises(ConnectionError, match="news: credential_refused"):
        await harness.feed([told(1, "a"), told(2, "a", app="gone")])
    assert harness.tracker.low == 0
    asked = len(harness.fcm.asked)
    with pytest.raises(ConnectionError):
        await harness.feed([told(3, "a")])
    assert len(harness.fcm.asked) == asked, "the project is left alone for a while"
    harness.clock.advance(1.5)
    await harness.feed([told(4, "a")])
    assert harness.fcm.followed == {b"t-4": {"a"}}


async def test_what_a_project_refuses_for_ten_minutes_is_given_up_and_told() -> None:
    harness = MirrorHarness()
    harness.fcm.answers[b"t-1"] = AWAY
    with pytest.raises(ConnectionError):
        batch = await harness.feed([told(1, "a")])
    harness.clock.advance(GIVE_UP_MS / 1000 + 1)
    records = [record(TOKEN_TOPICS, 0, 1, told(1).token.digest, encode_topics(told(1, "a")), timestamp=T0)]
    batch = Batch(
        TP(TOKEN_TOPICS, 0),
        harness.tracker,
        harness.tracker.hand_over(records, harness.tracker.arrive(records)),
        lambda: None,
    )
    await harness.stage.handle(batch)
    assert harness.results() == {"given_up": 1}
    assert batch.unfinished() == []


async def test_a_key_that_is_not_there_is_waited_for() -> None:
    harness = MirrorHarness()
    with pytest.raises(ConnectionError, match="k1"):
        await harness.feed([told(1, "a", key_id="k1")])
    assert harness.tracker.low == 0


async def test_what_is_no_record_of_topics_is_a_dead_letter() -> None:
    harness = MirrorHarness()
    await harness.feed([b"junk", told(2, "a", is_new=True)])
    assert harness.counters["dead_letters", "unknown_frame"] == 1
    assert harness.fcm.followed == {b"t-2": {"a"}}
    assert harness.tracker.low == 2


async def test_what_a_fenced_off_owner_still_writes_is_void_also_after_a_hand_over() -> None:
    harness, heir, home = MirrorHarness(), MirrorHarness(), TP(TOKEN_TOPICS, 0)
    late = told(1, "a"), h.origin("own", 0, 7)
    await harness.stage.assigned({home: Committed(None, "")})
    await harness.feed([h.origin("own", 0, 8), told(1, "b"), late])
    assert (harness.counters["void_topics", ""], harness.fcm.followed) == (1, {b"t-1": {"b"}})
    metadata = harness.stage.commit_metadata(home, harness.tracker.low)
    await heir.stage.assigned({home: Committed(harness.tracker.low, metadata)})
    await heir.feed([late])
    assert (heir.counters["void_topics", ""], heir.fcm.asked) == (1, [])


async def test_an_app_that_mirrors_nothing_here_is_counted() -> None:
    harness = MirrorHarness()
    await harness.feed([told(1, "a", app="chat")])
    assert harness.results() == {"not_mirrored": 1}
    assert harness.tracker.low == 1
