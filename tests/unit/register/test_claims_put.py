"""Claims of one stretch are put together: a record for each partition of tokens, as long as it has room."""

from __future__ import annotations

import orjson

from pushcast.model.ids import partition_of
from pushcast.wire.devices.ownership import MAX_CLAIMS, decode_claims
from pushcast.wire.headers import CE_ID, first
from pushcast.wire.topics import DEVICE_CHANGED, TOKEN_CLAIM
from unit.register.twin import PARTITIONS, T0, Harness

USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)


def register(number: int, *, op: str = "register") -> tuple[bytes, bytes]:
    event = {"op": op, "app": "news", "device": f"d-{number}", "at": T0 - 100}
    if op == "register":
        event |= {"platform": "apns", "token": f"{number:064x}"}
    return USER, orjson.dumps(event)


async def test_the_claims_of_a_chunk_are_one_record_for_each_partition_of_their_tokens() -> None:
    harness = Harness()
    await harness.change(*[register(number) for number in range(40)])
    assert len(harness.claims()) == 40
    for partition in range(PARTITIONS):
        records = harness.kafka.log[TOKEN_CLAIM, partition]
        assert len(records) <= 1
        for each in records:
            claims = decode_claims(each.key, each.value)
            assert each.key == claims[0].token.digest
            assert {partition_of(claim.token.digest, PARTITIONS) for claim in claims} == {partition}
            assert first(each.headers, CE_ID) == f"{DEVICE_CHANGED}/{HOME}/0".encode()


async def test_a_record_that_is_full_is_put_and_another_begun() -> None:
    harness = Harness()
    changes = [register(7, op=op) for _ in range(MAX_CLAIMS) for op in ("register", "unregister")]
    await harness.change(*changes)
    [partition] = [number for number in range(PARTITIONS) if harness.kafka.log[TOKEN_CLAIM, number]]
    sizes = [len(decode_claims(each.key, each.value)) for each in harness.kafka.log[TOKEN_CLAIM, partition]]
    assert sizes[0] == MAX_CLAIMS
    assert sum(sizes) > MAX_CLAIMS
    order = [claim.over for claim in harness.claims()]
    assert order[:2] == [False, True]


async def test_a_registration_that_is_refused_leaves_the_claims_of_the_others() -> None:
    harness = Harness()
    topics = [f"{number:0256d}" for number in range(201)]
    bad = {"op": "register", "app": "news", "device": "d", "platform": "apns", "token": "ab" * 32, "topics": topics}
    await harness.change(register(1), (USER, orjson.dumps({**bad, "at": T0})), register(2))
    assert sorted(claim.registration.key[-3:] for claim in harness.claims()) == [b"d-1", b"d-2"]
