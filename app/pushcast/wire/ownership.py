"""Claims, owners and evictions of tokens as records of `push.token.claim.v1`, `….owner.v1` and `….evict.v1`."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import TOKEN_HASH_BYTES
from pushcast.model.ownership import Claim, Evict, Mark, Registration, Token, registration_of, user_and_device
from pushcast.model.words import Platform, Reason
from pushcast.wire.avro_bytes import bytes_of, long_of
from pushcast.wire.keys import check_id
from pushcast.wire.schemas import avro_type

CLAIM: Final = "claim"
VACATE: Final = "vacate"
_CLAIM = avro_type("token_claim")
_OWNER = avro_type("token_owner")
_EVICT = avro_type("token_evict")
_PLATFORMS: Final = frozenset(map(str, Platform))


@lru_cache(maxsize=1024)
def _head(op: str, app: str, platform: str) -> bytes:
    return _CLAIM.frame + b"".join([bytes_of(text.encode()) for text in (op, app, platform)])


def encode_claim(claim: Claim) -> bytes:
    """Framed Avro; its record key is the token's hash. One for each registration, so it is put together by hand."""
    token, registration = claim.token, claim.registration
    user, _, rest = registration.key.partition(b"\0")
    device = rest.partition(b"\0")[2]
    head = _head(VACATE if claim.over else CLAIM, token.app, token.platform)
    return head + bytes_of(user) + bytes_of(device) + long_of(registration.at)


def decode_claim(key: bytes | None, value: bytes | None) -> Claim:
    """Raises InvalidInput naming the field."""
    if key is None or len(key) != TOKEN_HASH_BYTES:
        raise InvalidInput(Reason.KEY_INVALID, f"the key is a token's hash of {TOKEN_HASH_BYTES} bytes", "key")
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
    datum = _CLAIM.decode(value)
    op, app, platform, user, device = (datum[name] for name in ("op", "app", "platform", "user", "device"))
    if op not in (CLAIM, VACATE):
        raise InvalidInput(Reason.INVALID_FIELD, f"op is neither {CLAIM} nor {VACATE}", "op")
    if platform not in _PLATFORMS:
        raise InvalidInput(Reason.INVALID_FIELD, f"platform is none of {', '.join(Platform)}", "platform")
    check_id(app, "app")
    if user or device or op == VACATE:
        check_id(user, "user")
        check_id(device, "device")
    return Claim(Token(app, platform, key), registration_of(user, app, device, datum["at"]), op == VACATE)


def encode_mark(mark: Mark) -> bytes:
    """Framed Avro; its record key is `Token.key()`."""
    user, device = user_and_device(mark.registration.key)
    return b"".join(
        (
            _OWNER.frame,
            bytes_of(user.encode()),
            bytes_of(device.encode()),
            long_of(mark.registration.at),
            b"\1" if mark.live else b"\0",
            long_of(mark.changed_at),
            long_of(mark.moves),
            long_of(mark.moves_since),
        )
    )


def decode_mark(token: Token, value: bytes) -> Mark:
    """Raises InvalidInput."""
    datum = _OWNER.decode(value)
    registration = registration_of(datum["user"], token.app, datum["device"], datum["at"])
    return Mark(registration, datum["live"], datum["changed_at"], datum["moves"], datum["moves_since"])


def encode_evict(evict: Evict) -> bytes:
    """Framed Avro; its record key is the user of `evict.key`."""
    _, device = user_and_device(evict.key)
    winner_user, winner_device = user_and_device(evict.winner.key)
    return _EVICT.encode(
        {
            "app": evict.token.app,
            "device": device,
            "platform": evict.token.platform,
            "token_hash": evict.token.digest,
            "winner_user": winner_user,
            "winner_device": winner_device,
            "winner_at": evict.winner.at,
        }
    )


def decode_evict(user: str, value: bytes | None) -> Evict:
    """`user` is the record key's. Raises InvalidInput."""
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
    datum = _EVICT.decode(value)
    app = check_id(datum["app"], "app")
    loser = registration_of(user, app, check_id(datum["device"], "device"), 0)
    winner: Registration = registration_of(datum["winner_user"], app, datum["winner_device"], datum["winner_at"])
    return Evict(Token(app, datum["platform"], datum["token_hash"]), loser.key, winner)
