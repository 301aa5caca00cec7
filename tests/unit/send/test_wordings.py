"""Small messages of an app that a sender reads as one: each notification keeps its own content, wherever it goes."""

from __future__ import annotations

import json

from pushcast.model.batch import Message
from pushcast.model.notification import Content, Options
from pushcast.providers.port import Disposition
from pushcast.stream.cancelling import NothingCancelled
from pushcast.wire import topics
from pushcast.wire.control.cancel_state import CancelRecord
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder
from unit.send.twin import T0, TOPIC, Harness, TwinProvider, failed, message, ok, send_batch

LADDER = Ladder(DEFAULT_RUNGS)


def chats(count: int) -> list[Message]:
    """One target each, of a text, a thread and a notification of its own."""
    made = []
    for user in range(count):
        chat = message(name=f"n{user}", first_user=user, options=Options(thread_id=f"t{user}", badge=user))
        chat.content, chat.content_hash = Content(f"title {user}", f"body {user}", {"k": str(user)}), bytes([user]) * 16
        made.append(chat)
    return made


def written(harness: Harness, topic: str) -> list[Message]:
    return [each for record in harness.outbox.of(topic) for each in decode_batch(record.value or b"").messages]


async def test_one_message_reaches_the_provider_and_each_delivery_has_its_receipt() -> None:
    provider = TwinProvider()
    harness = Harness(provider)
    await harness.feed(send_batch(*chats(4)))
    (call,) = provider.calls
    assert [wording.content.body for wording in call.message.wordings or []] == [f"body {n}" for n in range(4)]
    call.answer(*map(ok, (2, 0, 3, 1)))
    await harness.settle()
    assert harness.outbox.outcomes() == {f"u{n}": ("accepted", None) for n in range(4)}
    assert {r["user"]: r["notification_id"] for r in harness.outbox.receipts()} == {f"u{n}": f"n{n}" for n in range(4)}
    assert (harness.committable(), harness.budget.held) == (101, 0)


async def test_what_waits_on_a_rung_is_written_as_it_was_read() -> None:
    singles = chats(3)
    provider = TwinProvider(
        script={"u0": [ok(0)], "u1": [failed(Disposition.RETRY)], "u2": [failed(Disposition.RETRY)]}
    )
    harness = Harness(provider, ladder=LADDER)
    await harness.feed(send_batch(*singles))
    retried = written(harness, topics.retry("10s"))
    for single in singles:
        single.targets.attempt[0] = 1
    assert retried == singles[1:]


async def test_what_is_tried_again_here_keeps_its_content() -> None:
    provider = TwinProvider(script={"u0": [ok(0)], "u1": [failed(Disposition.UNSENT), ok(0)]})
    harness = Harness(provider, attempts=3, ladder=LADDER)
    await harness.feed(send_batch(*chats(2)))
    harness.fire()
    await harness.settle()
    assert provider.seen == ["u0", "u1", "u1"]
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u1": ("accepted", None)}


async def test_dead_letters_hold_the_content_of_their_own_notification() -> None:
    singles = chats(2)
    provider = TwinProvider(script={user: [failed(Disposition.RETRY)] for user in ("u0", "u1")})
    harness = Harness(provider, ladder=Ladder(DEFAULT_RUNGS, attempts=1))
    await harness.feed(send_batch(*singles))
    found = written(harness, TOPIC + ".dlq")
    assert [(each.notification_ids, each.content) for each in found] == [
        (single.notification_ids, single.content) for single in singles
    ]


async def test_a_cancelled_thread_takes_away_the_message_of_that_thread_alone() -> None:
    cancels = NothingCancelled()
    cancels.state.begin(3)
    value = json.dumps({"app": "news", "thread": "t1", "at": T0 + 1}).encode()
    cancels.state.apply(3, [CancelRecord(b"u1", value, T0 + 1)], T0 + 1)
    provider = TwinProvider(accept=True)
    harness = Harness(provider, cancels=cancels)
    await harness.feed(send_batch(*chats(3)))
    assert not cancels.state.ignored
    assert provider.seen == ["u0", "u2"]
    assert harness.outbox.outcomes()["u1"] == ("cancelled", "cancelled")
