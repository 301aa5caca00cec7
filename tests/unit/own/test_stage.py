"""The stage on a Kafka twin with the real tracker: owners, evictions, completion, hand-over, bad input."""

from __future__ import annotations

import asyncio

import pytest

from pushcast.model.ids import partition_of
from pushcast.model.ownership import Evict
from pushcast.own.agent import CHUNK_CLAIMS
from pushcast.stream.batch import TP, Committed
from pushcast.stream.retrying import RETRIED
from pushcast.wire.devices.ownership import MAX_CLAIMS, decode_claims, encode_claims
from pushcast.wire.headers import CE_ID, FORWARDED, ORIGIN, first
from pushcast.wire.topics import TOKEN_CLAIM, TOKEN_EVICT, TOKEN_OWNER
from twins.kafka import settled
from unit.own.twin import DIGEST, HOME, TOKEN, OwnHarness, claim, own_kafka
from unit.register.twin import PARTITIONS, record


async def test_a_claim_becomes_an_owner_and_the_next_one_an_eviction_in_the_losers_partition() -> None:
    harness = OwnHarness()
    await harness.feed(claim("a", 1))
    harness.kafka.tail(HOME)
    await harness.feed(claim("b", 2))
    assert harness.owners()[TOKEN].registration == claim("b", 2).registration
    [told] = harness.kafka.log[TOKEN_EVICT, partition_of(b"a", PARTITIONS)]
    assert (told.key, first(told.headers, CE_ID)) == (b"a", f"{TOKEN_CLAIM}/{HOME}/1".encode())
    assert harness.evicted() == [Evict(TOKEN, b"a\0news\0d", claim("b", 2).registration)]
    assert harness.counters == {("token_claims", "claimed"): 1, ("token_claims", "moved"): 1}
    assert harness.committable(HOME) == 2


async def test_claims_of_one_chunk_see_each_other_and_make_one_row() -> None:
    harness = OwnHarness()
    await harness.feed(claim("a", 1), claim("b", 2), claim("a", 3), claim("a", 3, over=True))
    [row] = harness.kafka.log[TOKEN_OWNER, HOME]
    assert first(row.headers, ORIGIN) == f"own/{HOME}".encode()
    assert sorted(evict.key[:1] for evict in harness.evicted()) == [b"a", b"b"]
    assert (harness.owners()[TOKEN].live, harness.owners()[TOKEN].moves) == (False, 2)


async def test_two_apps_and_two_platforms_may_have_one_token() -> None:
    harness = OwnHarness()
    others = [TOKEN._replace(app="chat"), TOKEN._replace(platform="expo")]
    await harness.feed(claim("a", 1), *(claim("b", 2, token) for token in others))
    assert len(harness.owners()) == 3
    assert harness.evicted() == []


async def test_a_mark_is_written_when_its_eviction_is_acknowledged_and_no_earlier() -> None:
    harness = OwnHarness(own_kafka(acks=False))
    handling = asyncio.ensure_future(harness.feed(claim("a", 1), claim("b", 2)))
    await settled()
    assert [each.topic for _, each in harness.kafka._pending] == [TOKEN_EVICT]
    assert not handling.done()
    harness.kafka.acknowledge()
    await handling
    assert [each.topic for _, each in harness.kafka._pending] == [TOKEN_OWNER]
    assert harness.committable(HOME) == 0
    harness.kafka.acknowledge()
    assert harness.committable(HOME) == 2


async def test_a_partition_that_goes_while_an_eviction_is_on_its_way_gets_no_mark() -> None:
    harness = OwnHarness(own_kafka(acks=False))
    handling = asyncio.ensure_future(harness.feed(claim("a", 1), claim("b", 2)))
    await settled()
    harness.trackers[TP(TOKEN_CLAIM, HOME)].lost = True
    harness.kafka.acknowledge()
    await handling
    assert not harness.kafka._pending


async def test_handling_the_same_claims_again_writes_nothing() -> None:
    harness = OwnHarness()
    await harness.feed(claim("a", 1), claim("a", 2))
    harness.kafka.tail(HOME)
    await harness.feed(claim("a", 1), claim("a", 2))
    assert len(harness.kafka.log[TOKEN_OWNER, HOME]) == 1
    assert harness.counters["token_claims", "unchanged"] == 2


BAD = {
    "the hash as text": (DIGEST.hex().encode(), encode_claims([claim("a", 1)]), "key_invalid", "key"),
    "no key": (None, encode_claims([claim("a", 1)]), "key_invalid", "key"),
    "a tombstone": (DIGEST, None, "tombstone", None),
    "junk": (DIGEST, b"junk", "unknown_frame", None),
    "another op": (DIGEST, encode_claims([claim("a", 1)]).replace(b"claim", b"cloim"), "invalid_field", "op"),
    "another platform": (DIGEST, encode_claims([claim("a", 1)]).replace(b"apns", b"apps"), "invalid_field", "platform"),
    "more claims than a record holds": (DIGEST, encode_claims([claim("a", 1)] * 101), "too_large", "more"),
    "another op of a further claim": (
        DIGEST,
        encode_claims([claim("a", 1, over=True), claim("a", 1)]).replace(b"claim", b"cloim"),
        "invalid_field",
        "op",
    ),
    "a further claim of half a hash": (
        DIGEST,
        encode_claims([claim("a", 1), claim("a", 1, TOKEN._replace(digest=DIGEST[:8]))]),
        "invalid_field",
        "more.token_hash",
    ),
    "the end of nobody's": (DIGEST, encode_claims([claim("", 1, over=True)]), "invalid_field", "user"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_bad_claims_are_dead_letters_that_name_the_field_and_the_stream_goes_on(kind: str) -> None:
    key, value, reason, field = BAD[kind]
    harness = OwnHarness()
    partition = partition_of(key or b"", PARTITIONS)
    await harness.feed(record(TOKEN_CLAIM, partition, 0, key, value))
    [letter] = harness.kafka.log[f"{TOKEN_CLAIM}.dlq", partition]
    told = [first(letter.headers, f"push.errors.{name}") for name in ("reason", "field")]
    assert told == [reason.encode(), None if field is None else field.encode()]
    assert harness.committable(partition) == 1


async def test_a_claim_in_another_partition_than_its_tokens_is_moved_there() -> None:
    harness = OwnHarness()
    wrong = (HOME + 1) % PARTITIONS
    await harness.feed(record(TOKEN_CLAIM, wrong, 0, DIGEST, encode_claims([claim("a", 1)])))
    [moved] = harness.kafka.log[TOKEN_CLAIM, HOME]
    assert first(moved.headers, FORWARDED) == b"%d" % wrong
    assert decode_claims(moved.key, moved.value) == [claim("a", 1)]


async def test_claims_of_several_in_another_partition_are_a_dead_letter_because_each_may_belong_elsewhere() -> None:
    harness = OwnHarness()
    wrong = (HOME + 1) % PARTITIONS
    await harness.feed(record(TOKEN_CLAIM, wrong, 0, DIGEST, encode_claims([claim("a", 1), claim("b", 2)])))
    [letter] = harness.kafka.log[f"{TOKEN_CLAIM}.dlq", wrong]
    assert first(letter.headers, "push.errors.reason") == b"wrong_partition"
    assert not harness.kafka.log[TOKEN_CLAIM, HOME]


async def test_claims_of_one_record_are_taken_in_their_order_and_done_together() -> None:
    harness = OwnHarness()
    other = TOKEN._replace(app="chat")
    claims = [claim("a", 1), claim("a", 1, other), claim("b", 2), claim("a", 1, other, over=True)]
    await harness.feed(record(TOKEN_CLAIM, HOME, 0, DIGEST, encode_claims(claims)))
    owners = harness.owners()
    assert owners[TOKEN].registration == claim("b", 2).registration
    assert (owners[other].registration, owners[other].live) == (claim("a", 1, other).registration, False)
    assert [evict.key for evict in harness.evicted()] == [claim("a", 1).registration.key]
    assert harness.committable(HOME) == 1


async def test_records_of_many_claims_are_handled_a_chunk_at_a_time() -> None:
    harness = OwnHarness()
    tokens = [TOKEN._replace(app=f"app-{number}") for number in range(MAX_CLAIMS)]
    value = encode_claims([claim("a", 1, token) for token in tokens])
    count = 2 * CHUNK_CLAIMS // MAX_CLAIMS + 1
    await harness.feed(*[record(TOKEN_CLAIM, HOME, number, DIGEST, value) for number in range(count)])
    assert len(harness.owners()) == MAX_CLAIMS
    assert harness.counters == {
        ("token_claims", "claimed"): MAX_CLAIMS,
        ("token_claims", "unchanged"): MAX_CLAIMS * (count - 1),
    }
    assert harness.committable(HOME) == count


async def test_a_partition_without_its_table_is_not_ready() -> None:
    harness = OwnHarness()
    harness.kafka.missing.add(HOME)
    with pytest.raises(RETRIED, match=f"no partition .{HOME}."):
        await harness.stage.assigned({TP(TOKEN_CLAIM, HOME): Committed(None, "")})


async def test_what_a_fenced_off_owner_still_writes_is_overwritten() -> None:
    kafka = own_kafka()
    zombie = OwnHarness(own_kafka(acks=False, log=kafka.log))
    await zombie.take_over(HOME)
    heir = OwnHarness(kafka)
    await zombie.feed(claim("a", 1))
    heir.kafka.tail(HOME)  # tables are recovered before a stage is assigned
    await heir.take_over(HOME)
    await heir.feed(claim("a", 1), claim("b", 2))
    heir.kafka.tail(HOME)
    zombie.kafka.acknowledge()
    heir.kafka.tail(HOME)
    await settled()
    heir.kafka.tail(HOME)
    assert heir.owners()[TOKEN].registration == claim("b", 2).registration
    assert (heir.counters["void_rows", "found"], heir.counters["void_rows", "healed"]) == (1, 1)
    assert not heir.failures


async def test_more_claims_than_a_chunk_are_all_taken() -> None:
    harness = OwnHarness()
    await harness.feed(*[claim("a", number) for number in range(CHUNK_CLAIMS + 1)])
    assert harness.committable(HOME) == CHUNK_CLAIMS + 1
    assert harness.owners()[TOKEN].registration == claim("a", CHUNK_CLAIMS).registration
