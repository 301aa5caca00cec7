"""Records that none of ours wrote keep no sender from starting; parked records are outcomes like any other."""

from __future__ import annotations

import pytest

from pushcast.model.words import Lane, Platform
from pushcast.stream.batch import Committed
from pushcast.wire import groups, topics
from pushcast.wire.headers import LEDGER
from pushcast.wire.newer import NewerSchema
from pushcast.wire.sending.parked import Why, parked_record
from pushcast.wire.sending.retries import SENT_FROM
from unit.send.test_exact import Logs, Owner
from unit.send.twin import TwinProvider, message, record, send_batch

GROUP = groups.send(Platform.APNS, Lane.URGENT).encode()


@pytest.mark.parametrize(
    ("topic", "header", "value"),
    [
        (topics.retry("10s"), (SENT_FROM, GROUP + b"|soon"), b"junk"),
        (topics.retry("1m"), (SENT_FROM, GROUP + b"|100"), b"junk"),
        (topics.PARKED, (SENT_FROM, GROUP + b"|-1"), b"junk"),
        (topics.RECEIPT, (LEDGER, GROUP + b"|100|no delivery"), b""),
    ],
)
async def test_a_foreign_record_in_the_tail_is_counted_and_left(
    topic: str, header: tuple[str, bytes], value: bytes
) -> None:
    logs = Logs()
    claimed = await Owner(logs, TwinProvider()).take_over(Committed(100, ""))
    logs.entries.append(record(topic, 3, 0, value, None, [header]))
    new = Owner(logs, provider := TwinProvider(accept=True))
    await new.take_over(claimed)
    await new.harness.feed(send_batch(message(1)))
    assert provider.seen == ["u0"]
    assert new.ledgers.counters["unreadable"] == 1


async def test_a_target_that_is_parked_is_not_sent_again() -> None:
    logs = Logs()
    claimed = await Owner(logs, TwinProvider()).take_over(Committed(100, ""))
    value, headers = parked_record(
        app="news",
        lane=Lane.URGENT,
        platform=Platform.APNS,
        messages=[message(1, first_user=1)],
        why=Why.PAUSED,
        run=0,
        first_seen_at=0,
        rounds_made=0,
        doubtful=False,
        sent_from=f"{GROUP.decode()}|100",
    )
    logs.entries.append(record(topics.PARKED, 3, 0, value, None, headers))
    new = Owner(logs, provider := TwinProvider(accept=True))
    await new.take_over(claimed)
    await new.harness.feed(send_batch(message(3)))
    assert provider.seen == ["u0", "u2"]


async def test_a_retry_record_of_a_later_release_in_the_tail_is_waited_for() -> None:
    """Rulings I.7: counted and left out, its deliveries would be sent once more."""
    logs = Logs()
    claimed = await Owner(logs, TwinProvider()).take_over(Committed(100, ""))
    newer = record(topics.retry("1m"), 3, 0, b"\xc3\x01tomorrow", None, [(SENT_FROM, GROUP + b"|100")])
    logs.entries.append(newer)
    with pytest.raises(NewerSchema, match=r"push.retry.1m.v1\[3\]"):
        await Owner(logs, TwinProvider()).take_over(claimed)
