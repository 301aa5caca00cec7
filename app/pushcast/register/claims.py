"""What a registration says about its token, for OWN. Pure.

Every row that is written has its claim, under one barrier: an event that is handled again after a kill claims again. An
event that is too late for its row still tells whose the token was then.
"""

from __future__ import annotations

from pushcast.model.device import DeviceRow, DeviceState
from pushcast.model.ownership import Claim, Registration, Token, TokenHolder
from pushcast.model.words import Platform


def held(key: bytes, row: DeviceRow | None) -> Claim | None:
    """The claim that a row stands for; None: it has no token."""
    if row is None or row.is_gone or not row.token_hash:
        return None
    token = Token(row.app, row.platform, row.token_hash)
    return Claim(token, Registration(row.registered_at, key), holder=_holder(row))


def _holder(row: DeviceRow) -> TokenHolder | None:
    """What FCM is told of it. A device that waits for its activation gets nothing yet, by its topics neither."""
    if row.platform != Platform.FCM:
        return None
    topics = () if row.state == DeviceState.STAGED else row.topics
    return TokenHolder(row.kind, row.address, row.key_id, topics)


def given_up(key: bytes, row: DeviceRow | None) -> list[Claim]:
    """What the removal of a row claims: that it is over."""
    claim = held(key, row)
    return [] if claim is None else [claim._replace(over=True)]


def registered(key: bytes, before: DeviceRow | None, after: DeviceRow) -> list[Claim]:
    """What a registration claims. The token that the row had before is given up."""
    now = held(key, after)
    assert now is not None  # a registration has a token
    earlier = held(key, before)
    if earlier is None or earlier.token == now.token:
        return [now]
    if earlier.token.digest == after.token_hash_before:
        earlier = earlier._replace(holder=None)  # the same token by another hash: its topics stay
    return [earlier._replace(over=True), now]


def too_late(key: bytes, before: DeviceRow | None, token: Token, at: int) -> list[Claim]:
    """What an outdated registration claims: it was, and is over. Nothing when the row has the token still."""
    earlier = held(key, before)
    if earlier is not None and earlier.token == token:
        return []
    claim = Claim(token, Registration(at, key))
    return [claim, claim._replace(over=True)]
