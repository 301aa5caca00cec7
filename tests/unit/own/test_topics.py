"""What a provider that keeps topics itself is told of a token: what its holder follows, by his own claim."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pushcast.model.ids import partition_of
from pushcast.model.ownership import Claim, TokenHolder, TokenTopics
from pushcast.wire.devices.ownership import decode_topics, encode_holder_claim
from pushcast.wire.headers import CE_ID, first
from pushcast.wire.topics import TOKEN_CLAIM, TOKEN_OWNER, TOKEN_TOPICS
from unit.own.twin import DIGEST, HOME, TOKEN, OwnHarness, claim
from unit.register.twin import PARTITIONS, record

FCM = TOKEN._replace(platform="fcm")


def with_holder(user: str, at: int, *topics: str, over: bool = False) -> Claim:
    return claim(user, at, FCM, over=over)._replace(holder=TokenHolder("token", b"t-" + user.encode(), "", topics))


async def feed(harness: OwnHarness, claims: Sequence[Claim]) -> None:
    for each in claims:
        at = harness.next_offset(HOME)
        await harness.feed(record(TOKEN_CLAIM, HOME, at, each.token.digest, encode_holder_claim(each)[1]))


def told(harness: OwnHarness) -> list[tuple[str, tuple[str, ...], bool]]:
    """User, topics, whether nobody had the token before."""
    records = harness.kafka.log[TOKEN_TOPICS, partition_of(DIGEST, PARTITIONS)]
    found: list[TokenTopics] = [decode_topics(each.key, each.value) for each in records]
    assert all(each.holder.address == b"t-" + each.key[:1] for each in found)
    return [(each.key[:1].decode(), each.holder.topics, each.is_new) for each in found]


async def test_the_first_claim_tells_what_its_device_follows() -> None:
    harness = OwnHarness()
    await feed(harness, [with_holder("a", 1, "team")])
    assert told(harness) == [("a", ("team",), True)]
    [put] = harness.kafka.log[TOKEN_TOPICS, HOME]
    assert (put.key, first(put.headers, CE_ID)) == (DIGEST, f"{TOKEN_CLAIM}/{HOME}/0".encode())
    assert harness.committable(HOME) == 1


async def test_a_claim_without_a_holder_tells_nothing() -> None:
    harness = OwnHarness()
    await harness.feed(claim("a", 1, FCM))
    assert told(harness) == []


async def test_a_claim_that_is_handled_again_tells_the_same_again() -> None:
    harness = OwnHarness()
    await feed(harness, [with_holder("a", 1, "team"), with_holder("a", 1, "team")])
    assert told(harness) == [("a", ("team",), True), ("a", ("team",), False)]
    assert len(harness.kafka.log[TOKEN_OWNER, HOME]) == 1


@pytest.mark.parametrize(
    ("claims", "last"),
    [
        ([with_holder("a", 1, "x"), with_holder("b", 2, "y")], ("b", ("y",), False)),
        ([with_holder("b", 2, "y"), with_holder("a", 1, "x")], ("b", ("y",), True)),
        ([with_holder("a", 1, "x"), with_holder("a", 1, over=True)], ("a", (), False)),
        # The loser's row is removed only now: the token is the winner's.
        ([with_holder("a", 1, "x"), with_holder("b", 2, "y"), with_holder("a", 1, over=True)], ("b", ("y",), False)),
        # The phone was A's until 5, who has let go of it: B's registration of 4 comes too late, and nobody has it.
        (
            [with_holder("a", 5, "x"), with_holder("a", 5, over=True), with_holder("b", 4, "y")],
            ("b", (), False),
        ),
        # Nobody's by its token alone: the removal of its row tells it.
        ([with_holder("a", 1, "x"), claim("", 9, FCM), with_holder("a", 1, over=True)], ("a", (), False)),
    ],
)
async def test_the_last_word_is_that_of_whoever_has_the_token(
    claims: list[Claim], last: tuple[str, tuple[str, ...], bool]
) -> None:
    harness = OwnHarness()
    for each in claims:
        if each.holder is None:
            await harness.feed(each)
        else:
            await feed(harness, [each])
        harness.kafka.tail(HOME)
    assert told(harness)[-1] == last
