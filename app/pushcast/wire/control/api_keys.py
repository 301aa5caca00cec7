"""Keys of the HTTP API: their form, and the records of `push.key.v1` that say what each may do. Pure.

A key is `pc_<8: id>_<43: secret>_<6: checksum>`. The id is the record key. The secret is 256 random bits in base64url.
Only its SHA-256 is stored. Nobody can try 256 random bits, so a slow hash would only slow the gateway down. The sum
is the CRC-32 of what stands before it, in base 62: a typing mistake is refused without a look-up, and programs that
look for leaked secrets know the form.
"""

from __future__ import annotations

import hmac
import secrets
import string
from base64 import urlsafe_b64encode
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final, Literal, NamedTuple
from zlib import crc32

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Reason
from pushcast.wire.json_errors import UNREADABLE, from_msgspec

PREFIX: Final = "pc_"
APP_PREFIX: Final = "pk_"
ID_CHARS: Final = 8
SECRET_CHARS: Final = 43
CHECKSUM_CHARS: Final = 6
KEY_CHARS: Final = len(PREFIX) + ID_CHARS + 1 + SECRET_CHARS + 1 + CHECKSUM_CHARS
MAX_HASHES: Final = 4
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID: Final = frozenset(string.ascii_letters + string.digits)
_TimeMs = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Scope(StrEnum):
    """What a key may be allowed to do."""

    NOTIFICATIONS_SEND = "notifications:send"
    NOTIFICATIONS_CANCEL = "notifications:cancel"
    BROADCASTS_SEND = "broadcasts:send"
    DEVICES_WRITE = "devices:write"
    ENGAGEMENT_WRITE = "engagement:write"
    REPORTS_READ = "reports:read"
    HISTORY_READ = "history:read"
    CONTENT_READ = "content:read"
    CONTROL_READ = "control:read"
    CONTROL_WRITE = "control:write"
    DLQ_READ = "dlq:read"
    DLQ_WRITE = "dlq:write"
    CONSOLE_VIEW = "console:view"
    CONSOLE_OPERATE = "console:operate"
    CONSOLE_SEND = "console:send"


class Hash(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret of the key. Two are valid while it is rotated. Times are milliseconds since the epoch."""

    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    created_at: _TimeMs
    expires_at: _TimeMs | None = None


class KeyLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much a key may ask for within any 60 seconds, of one gateway process or of all (`gateway.sharing`)."""

    requests_per_minute: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 10_000
    notifications_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = 1_000_000


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a key may do. One of kind `app` is public and has no secret: it names an app, whose users prove themselves.
    A list that is null allows every value; an empty one allows none."""

    scopes: tuple[Scope, ...]
    hashes: Annotated[tuple[Hash, ...], msgspec.Meta(max_length=MAX_HASHES)]
    kind: Literal["server", "app"] = "server"
    label: Annotated[str, msgspec.Meta(max_length=200)] = ""
    apps: tuple[_Name, ...] | None = None
    classes: tuple[_Name, ...] | None = None
    lanes: tuple[Lane, ...] | None = None
    topics: tuple[_Name, ...] | None = None
    max_audience: Annotated[int, msgspec.Meta(ge=1)] | None = None
    limits: KeyLimits = KeyLimits()
    disabled: bool = False

    def verifies(self, digest: str, now_ms: int) -> bool:
        """Whether a secret with this SHA-256 (hexadecimal) is one of this key's. Takes the same time for all."""
        found = False
        for each in self.hashes:
            live = each.expires_at is None or now_ms < each.expires_at
            found |= hmac.compare_digest(each.sha256, digest) and live
        return found and not self.disabled


class Presented(NamedTuple):
    """A key as a client sent it. `digest`: SHA-256 of its secret, hexadecimal."""

    id: str
    digest: str


_RECORDS = msgspec.json.Decoder(ApiKey)


def new_key(key_id: str | None = None) -> tuple[str, str, str]:
    """(id, the whole key to be shown once, SHA-256 of its secret). `key_id` None: a new one."""
    key_id = key_id or "".join(secrets.choice(_ALPHABET) for _ in range(ID_CHARS))
    secret = urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    body = f"{PREFIX}{key_id}_{secret}"
    return key_id, f"{body}_{_checksum(body)}", _digest(secret)


def parse_key(text: str) -> Presented | None:
    """None for what is no key of this form, or one with a typing mistake."""
    if len(text) != KEY_CHARS or not text.startswith(PREFIX) or not text.isascii():
        return None
    body, last, checksum = text[: -CHECKSUM_CHARS - 1], text[-CHECKSUM_CHARS - 1], text[-CHECKSUM_CHARS:]
    key_id, between, secret = body[3 : 3 + ID_CHARS], body[3 + ID_CHARS], body[4 + ID_CHARS :]
    if between != "_" or last != "_" or not set(key_id) <= _ID or _checksum(body) != checksum:
        return None
    return Presented(key_id, _digest(secret))


def app_key(app: str, key_id: str) -> str:
    """A key that an app carries: everybody can read it there, so it proves nothing."""
    return f"{APP_PREFIX}{app}_{key_id}"


def parse_app_key(text: str) -> tuple[str, str] | None:
    """(app, key id); None for what is no key of this form."""
    app, between, key_id = text.removeprefix(APP_PREFIX).rpartition("_")
    if not text.startswith(APP_PREFIX) or not between or not app or len(key_id) != ID_CHARS or not set(key_id) <= _ID:
        return None
    return app, key_id


def encode_record(key: ApiKey) -> bytes:
    """Value of a record of `push.key.v1`."""
    return msgspec.json.encode(key)


def decode_record(value: bytes) -> ApiKey:
    """Raises InvalidInput (not_json, unknown_field, invalid_field)."""
    try:
        return _RECORDS.decode(value)
    except UNREADABLE as error:
        raise from_msgspec(error, value) from None


def decode_id(key: bytes | None) -> str:
    """The key id of a record. Raises InvalidInput (key_invalid)."""
    text = "" if key is None else key.decode("ascii", "replace")
    if len(text) != ID_CHARS or not set(text) <= _ID:
        raise InvalidInput(Reason.KEY_INVALID, f"a key id has {ID_CHARS} letters and digits", "key")
    return text


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    number, found = crc32(body.encode()), ""
    while len(found) < CHECKSUM_CHARS:
        number, digit = divmod(number, len(_ALPHABET))
        found = _ALPHABET[digit] + found
    return found
