from __future__ import annotations

from pushcast.model.words import Platform
from pushcast.providers.port import Disposition, Result
from pushcast.send.tickets import MAX_TICKET_ID_CHARS, TICKETS_PER_RECORD
from pushcast.wire import topics
from pushcast.wire.sending.tickets import TicketBatch, decode_tickets
from unit.send.twin import T0, Harness, TwinProvider, failed, message, ok, send_batch

TOPIC = topics.ticket(Platform.EXPO)


def expo(*providers: TwinProvider, acks: bool = True) -> Harness:
    """SEND of Expo on the twins."""
    harness = Harness(*providers, acks=acks)
    harness.stage = harness.made(platform=Platform.EXPO)
    return harness


def ticket(target: int, sent_at: int = T0 + 1, ticket_id: str | None = None) -> Result:
    return ok(target, sent_at)._replace(provider_id=ticket_id or f"ticket-{target}")


def written(harness: Harness) -> list[TicketBatch]:
    return [decode_tickets(entry.value) for entry in harness.outbox.of(TOPIC)]


async def test_the_tickets_of_a_flush_are_one_record_per_partition_and_app() -> None:
    news, chat = TwinProvider("news"), TwinProvider("chat")
    harness = expo(news, chat)
    await harness.feed(send_batch(message(3), message(1, app="chat", first_user=7), platform="expo"))
    await harness.feed(send_batch(message(1, first_user=5), platform="expo"), partition=4)
    news.calls[0].answer(ticket(2, T0 + 5), failed(Disposition.INVALID, "device_unregistered", 0), ticket(1, T0 + 3))
    news.calls[1].answer(ticket(0, ticket_id="other"))
    chat.calls[0].answer(ticket(0))
    await harness.settle()
    assert [(entry.partition, entry.key) for entry in harness.outbox.of(TOPIC)] == [
        (3, b"news"),
        (4, b"news"),
        (3, b"chat"),
    ]
    first = written(harness)[0]
    targets = news.calls[0].message.targets
    assert (first.platform, first.app, first.sent_at, first.asks) == ("expo", "news", T0 + 3, 0)
    assert (first.ticket_id, first.user, first.device) == (["ticket-2", "ticket-1"], ["u2", "u1"], ["d2", "d1"])
    assert first.token_hash == [targets.token_hash[2], targets.token_hash[1]]
    assert first.delivery_id == [targets.delivery_id[2], targets.delivery_id[1]]


async def test_a_receipt_is_not_put_before_its_ticket_is_in_kafka_nor_a_record_done_before_either() -> None:
    provider = TwinProvider()
    harness = expo(provider, acks=False)
    await harness.feed(send_batch(message(1), platform="expo"))
    provider.calls[0].answer(ticket(0))
    await harness.settle()
    assert [entry.topic for _, entry in harness.outbox.pending] == [TOPIC]
    harness.outbox.acknowledge()
    await harness.settle()
    assert [entry.topic for _, entry in harness.outbox.pending] == [topics.RECEIPT]
    assert harness.committable() == 100
    harness.outbox.acknowledge()
    await harness.settle()
    assert harness.committable() == 101


async def test_a_record_of_tickets_is_no_larger_than_one_question() -> None:
    provider = TwinProvider()
    harness = expo(provider)
    await harness.feed(send_batch(message(700), platform="expo"))
    provider.calls[0].answer(*(ticket(target) for target in range(700)))
    await harness.settle()
    assert [len(batch) for batch in written(harness)] == [TICKETS_PER_RECORD, TICKETS_PER_RECORD, 100]
    assert [name for batch in written(harness) for name in batch.ticket_id] == [f"ticket-{n}" for n in range(700)]


async def test_what_has_no_ticket_is_not_followed_up() -> None:
    provider = TwinProvider()
    harness = expo(provider)
    await harness.feed(send_batch(message(2), platform="expo"))
    provider.calls[0].answer(ok(0)._replace(provider_id=None), ticket(1, ticket_id="x" * (MAX_TICKET_ID_CHARS + 1)))
    await harness.settle()
    assert harness.outbox.of(TOPIC) == []
    assert harness.committable() == 101


async def test_other_platforms_write_no_tickets() -> None:
    harness = Harness(TwinProvider(accept=True))
    await harness.feed(send_batch(message(2)))
    assert {entry.topic for entry in harness.outbox.log} == {topics.RECEIPT}
