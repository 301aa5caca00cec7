"""Record keys of the intake topics: user ids."""

from __future__ import annotations

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import MAX_ID_BYTES
from pushcast.model.words import Reason


def user_of(key: bytes | None) -> str:
    """User id of a record key. Raises InvalidInput: key_missing, key_not_utf8 or key_invalid."""
    if not key:
        raise InvalidInput(Reason.KEY_MISSING, "the record has no key; the key is the user id", "key")
    if len(key) > MAX_ID_BYTES:
        raise InvalidInput(
            Reason.KEY_INVALID, f"the key has {len(key)} bytes; a user id has at most {MAX_ID_BYTES}", "key"
        )
    if b"\0" in key:
        raise InvalidInput(Reason.KEY_INVALID, "the key holds a NUL byte; a user id must not", "key")
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise InvalidInput(Reason.KEY_NOT_UTF8, "the key is not UTF-8; the key is the user id", "key") from None


def is_user(key: bytes | None) -> bool:
    """Whether `user_of` takes this key."""
    if not key or len(key) > MAX_ID_BYTES or b"\0" in key:
        return False
    if key.isascii():
        return True
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True


def check_id(value: str, field: str) -> str:
    """`value` when it is 1 to 256 bytes of UTF-8 without NUL. Raises InvalidInput naming `field`."""
    if not value:
        raise InvalidInput(Reason.INVALID_FIELD, f"{field} is empty", field)
    # A character is at most 4 bytes: short ids need no encoding to be known as short.
    if len(value) * 4 > MAX_ID_BYTES and len(value.encode(errors="surrogatepass")) > MAX_ID_BYTES:
        raise InvalidInput(Reason.INVALID_FIELD, f"{field} has more than {MAX_ID_BYTES} bytes", field)
    if "\0" in value:
        raise InvalidInput(Reason.INVALID_FIELD, f"{field} holds a NUL character", field)
    return value
