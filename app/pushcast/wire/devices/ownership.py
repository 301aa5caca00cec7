"""Claims, owners, evictions and topics of tokens as records of `push.token.claim.v1`, `….owner.v1`, `….evict.v1` and
`….topics.v1`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import TOKEN_HASH_BYTES
from pushcast.model.ownership import (
    Claim,
    Evict,
    Mark,
    Registration,
    Token,
    TokenHolder,
    TokenTopics,
    registration_of,
    user_and_device,
)
from pushcast.model.words import Platform, Reason
from pushcast.wire.avro_bytes import array_of, bytes_of, long_of
from pushcast.wire.keys import check_id
from pushcast.wire.schemas import avro_type, released_type

CLAIM: Final = "claim"
VACATE: Final = "vacate"
#: Of one record: of the longest ids 90 kB, far below what the topic takes.
MAX_CLAIMS: Final = 100
_CLAIM = avro_type("token_claim")
#: A claim without a holder is written in the schema before it: most apps mirror no topics, and OWN reads it by hand.
CLAIM_FRAME: Final = released_type("token_claim", 2).frame
_OWNER = avro_type("token_owner")
_EVICT = avro_type("token_evict")
_TOPICS = avro_type("token_topics")
_PLATFORMS: Final = frozenset(map(str, Platform))
#: The hash of a token, and what stands of its claim behind that.
EncodedClaim = tuple[bytes, bytes]


@lru_cache(maxsize=1024)
def _head(op: str, app: str, platform: str) -> bytes:
    return b"".join([bytes_of(text.encode()) for text in (op, app, platform)])


def encode_claims(claims: Sequence[Claim]) -> bytes:
    """Framed Avro of 1 to MAX_CLAIMS claims, whose tokens have one partition; the record key is the hash of the first.

    There is a claim for each registration, so they are put together by hand.
    """
    return join_claims([encode_claim(claim) for claim in claims])


def join_claims(claims: Sequence[EncodedClaim]) -> bytes:
    """As `encode_claims`, of claims whose columns are encoded."""
    (_, first), *more = claims
    return CLAIM_FRAME + first + array_of([bytes_of(digest) + columns for digest, columns in more])


def encode_claim(claim: Claim) -> EncodedClaim:
    """For `join_claims`."""
    return claim.token.digest, _claim_columns(claim)


def encode_holder_claim(claim: Claim) -> EncodedClaim:
    """A claim with its holder: the hash, and the value of a record of its own."""
    holder = claim.holder
    user, device = user_and_device(claim.registration.key)
    return claim.token.digest, _CLAIM.encode(
        {
            "op": VACATE if claim.over else CLAIM,
            "app": claim.token.app,
            "platform": claim.token.platform,
            "user": user,
            "device": device,
            "at": claim.registration.at,
            "more": [],
            "holder": None if holder is None else {**holder._asdict(), "topics": list(holder.topics)},
        }
    )


def encode_held(row: DeviceRow, user: bytes) -> EncodedClaim:
    """The claim that the row of a registration stands for, in one step: most claims are such."""
    columns = _head(CLAIM, row.app, row.platform), bytes_of(user), bytes_of(row.device.encode())
    return row.token_hash, b"".join((*columns, long_of(row.registered_at)))


def _claim_columns(claim: Claim) -> bytes:
    token = claim.token
    return _head(VACATE if claim.over else CLAIM, token.app, token.platform) + registration_columns(claim.registration)


def registration_columns(registration: Registration) -> bytes:
    """User, device and time, as a claim and a mark have them; the first two are empty for nobody."""
    user, _, rest = registration.key.partition(b"\0")
    return bytes_of(user) + bytes_of(rest.partition(b"\0")[2]) + long_of(registration.at)


def decode_claims(key: bytes | None, value: bytes | None) -> list[Claim]:
    """In the order in which they were made. Raises InvalidInput naming the field."""
    if key is None or len(key) != TOKEN_HASH_BYTES:
        raise InvalidInput(Reason.KEY_INVALID, f"the key is a token's hash of {TOKEN_HASH_BYTES} bytes", "key")
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
    datum = _CLAIM.decode(value)
    more = datum["more"]
    if len(more) >= MAX_CLAIMS:
        raise InvalidInput(Reason.TOO_LARGE, f"{len(more) + 1} claims in one record; at most {MAX_CLAIMS}", "more")
    holder = datum["holder"]
    first = _claim(key, datum)._replace(holder=None if holder is None else _holder(holder))
    return [first, *[_further_claim(item) for item in more]]


def _holder(item: dict[str, Any]) -> TokenHolder:
    return TokenHolder(item["kind"], item["address"], item["key_id"], tuple(item["topics"]))


def _further_claim(item: dict[str, Any]) -> Claim:
    digest = item["token_hash"]
    if len(digest) != TOKEN_HASH_BYTES:
        raise InvalidInput(Reason.INVALID_FIELD, f"a token's hash has {TOKEN_HASH_BYTES} bytes", "more.token_hash")
    return _claim(digest, item)


def _claim(digest: bytes, datum: dict[str, Any]) -> Claim:
    app, platform, user, device = datum["app"], datum["platform"], datum["user"], datum["device"]
    over = is_over(datum["op"], app, platform)
    if user or device or over:
        check_id(user, "user")
        check_id(device, "device")
    return Claim(Token(app, platform, digest), registration_of(user, app, device, datum["at"]), over)


@lru_cache(maxsize=1024)
def is_over(op: str, app: str, platform: str) -> bool:
    """What a claim says of its registration. Few values stand in these columns, so each combination is checked once.
    Raises InvalidInput."""
    if op not in (CLAIM, VACATE):
        raise InvalidInput(Reason.INVALID_FIELD, f"op is neither {CLAIM} nor {VACATE}", "op")
    if platform not in _PLATFORMS:
        raise InvalidInput(Reason.INVALID_FIELD, f"platform is none of {', '.join(Platform)}", "platform")
    check_id(app, "app")
    return op == VACATE


def encode_mark(mark: Mark) -> bytes:
    """Framed Avro; its record key is `Token.key()`."""
    return b"".join(
        (
            _OWNER.frame,
            registration_columns(mark.registration),
            b"\1" if mark.live else b"\0",
            long_of(mark.changed_at),
            long_of(mark.moves),
            long_of(mark.moves_since),
        )
    )


def encode_first_mark(columns: bytes, recorded_at: int) -> bytes:
    """Of a device that is the first to claim its token. `columns`: of its registration."""
    since = long_of(recorded_at)
    return _OWNER.frame + columns + b"\1" + since + b"\0" + since


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


def encode_topics(told: TokenTopics) -> bytes:
    """Framed Avro; its record key is the token's hash."""
    user, device = user_and_device(told.key)
    return _TOPICS.encode(
        {
            "app": told.token.app,
            "platform": told.token.platform,
            "user": user,
            "device": device,
            **told.holder._asdict(),
            "topics": list(told.holder.topics),
            "is_new": told.is_new,
        }
    )


def decode_topics(digest: bytes | None, value: bytes | None) -> TokenTopics:
    """`digest` is the record key. Raises InvalidInput."""
    if digest is None or len(digest) != TOKEN_HASH_BYTES:
        raise InvalidInput(Reason.KEY_INVALID, f"the key is a token's hash of {TOKEN_HASH_BYTES} bytes", "key")
    if value is None:
        raise InvalidInput(Reason.TOMBSTONE, "a null value on an event topic means nothing")
    datum = _TOPICS.decode(value)
    app, user, device = (check_id(datum[name], name) for name in ("app", "user", "device"))
    key = registration_of(user, app, device, 0).key
    return TokenTopics(Token(app, datum["platform"], digest), key, _holder(datum), datum["is_new"])
