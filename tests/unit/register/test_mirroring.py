"""What claims say of topics, where an app has FCM know them."""

from __future__ import annotations

from typing import Any

import orjson

from pushcast.model.ids import partition_of, token_hash
from pushcast.model.ownership import Claim, Evict, Registration, Token, TokenHolder
from pushcast.wire.devices.ownership import encode_evict
from pushcast.wire.topics import TOKEN_EVICT
from unit.register.twin import PARTITIONS, T0, Harness, record

USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)
TOKEN = "fcm-token-of-a-phone"
ROW = b"user-1\0news\0d-1"


def harness() -> Harness:
    return Harness(mirrored=frozenset({"news"}))


def event(op: str = "register", at: int = 0, **fields: Any) -> tuple[bytes, bytes]:
    said = {"op": op, "app": "news", "device": "d-1", "at": T0 + at - 1000, **fields}
    if op == "register":
        said = {"platform": "fcm", "token": TOKEN, "topics": ["team"]} | said
    return USER, orjson.dumps(said)


def holders(made: Harness) -> list[tuple[bool, TokenHolder | None]]:
    claims: list[Claim] = made.claims()
    return [(claim.over, claim.holder) for claim in claims]


def held(*topics: str, address: str = TOKEN) -> TokenHolder:
    return TokenHolder("token", address.encode(), "", topics)


async def test_a_registration_claims_with_its_topics() -> None:
    made = harness()
    await made.change(event())
    assert holders(made) == [(False, held("team"))]


async def test_another_platform_and_another_app_claim_without() -> None:
    made = harness()
    await made.change(event(platform="apns", token="ab" * 32), event(app="chat", device="d-2"))
    assert holders(made) == [(False, None), (False, None)]


async def test_claims_of_one_token_keep_their_order_whatever_they_hold() -> None:
    made = harness()
    await made.change(event(app="chat"), event(), event("unregister", 1), event(app="chat", at=2))
    news = [over for over, holder in holders(made) if holder is not None]
    assert news == [False, True]


async def test_topics_that_a_device_adds_or_leaves_are_claimed_with_its_registration_unchanged() -> None:
    made = harness()
    await made.change(event())
    [first] = made.claims()
    await made.change(event("topics", 1, add=["sport"], remove=["team"]))
    again = made.claims()[-1]
    assert again == first._replace(holder=held("sport"))


async def test_topics_that_are_handled_again_are_claimed_again() -> None:
    made = harness()
    change = event("topics", 1, add=["sport"])
    await made.change(event(), change)
    await made.change(change)
    assert holders(made)[-1] == (False, held("team", "sport"))


async def test_a_device_that_waits_for_its_activation_follows_nothing_yet() -> None:
    made = harness()
    await made.change(event(staged=True))
    await made.change(event("activate", 1))
    assert holders(made) == [(False, held()), (False, held("team"))]


async def test_a_token_that_is_replaced_is_let_go_of_by_its_own_address() -> None:
    made = harness()
    await made.change(event())
    await made.change(event(at=1, token="another-fcm-token", topics=["sport"]))
    # In the partitions of two tokens, so in no order between them.
    assert (True, held("team")) in holders(made)
    assert (False, held("sport", address="another-fcm-token")) in holders(made)


async def test_a_device_that_loses_its_token_says_so_with_its_address() -> None:
    """The winner may be over by then: nobody else knows the address."""
    made = harness()
    await made.change(event())
    made.kafka.tail(HOME)
    token = Token("news", "fcm", token_hash(TOKEN.encode()))
    evict = Evict(token, ROW, Registration(T0, b"user-2\0news\0d-9"))
    await made.feed(TOKEN_EVICT, record(TOKEN_EVICT, HOME, 0, USER, encode_evict(evict)))
    assert holders(made)[-1] == (True, held("team"))


async def test_where_no_app_mirrors_topics_no_claim_has_a_holder() -> None:
    made = Harness()
    await made.change(event(), event("topics", 1, add=["sport"]), event("unregister", 2))
    assert holders(made) == [(False, None), (True, None)]
