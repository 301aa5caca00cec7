"""What gateways say to each other about the quotas of keys: how much was used, is wanted and is given."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.wire.json_errors import decoded

#: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (revision 11)
REQUESTS: Final = "requests"
NOTIFICATIONS: Final = "notifications"
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class QuotaAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`used`: of leases before, as far as it was not yet told. `wanted`: for the next lease."""

    policy: Literal["requests", "notifications"]
    quota: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
    used: _Count
    wanted: _Count


class LeaseAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one gateway for one key."""

    gateway: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    quotas: Annotated[list[QuotaAsk], msgspec.Meta(min_length=1, max_length=2)]


class QuotaGrant(msgspec.Struct, frozen=True):
    """Of one quota. `remaining` is free beside what is granted; `reset_seconds`: until some of it is free again."""

    granted: _Count
    remaining: _Count
    reset_seconds: _Count


_ASKS: Final = msgspec.json.Decoder(LeaseAsk)
_GRANTS: Final = msgspec.json.Decoder(list[QuotaGrant])
encode: Final = msgspec.json.encode


def decode_ask(body: bytes) -> LeaseAsk:
    """Raises InvalidInput."""
    return decoded(_ASKS, body)


def decode_grants(body: bytes, count: int) -> list[QuotaGrant]:
    """As many as were asked for, in their order. Raises InvalidInput."""
    found = decoded(_GRANTS, body)
    if len(found) != count:
        raise InvalidInput("invalid_field", f"{len(found)} grants for {count} quotas")
    return found
