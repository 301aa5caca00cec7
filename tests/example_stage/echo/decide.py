"""What ECHO answers. Pure."""

from __future__ import annotations

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason

MAX_CHARS = 1_000


def answer(value: bytes | None) -> str:
    """The note in upper case. Raises InvalidInput naming the limit."""
    if value is None:
        raise InvalidInput(Reason.UNDECODABLE, "the record has no value")
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(Reason.UNDECODABLE, "the note is not UTF-8") from error
    if len(text) > MAX_CHARS:
        raise InvalidInput(Reason.INVALID_FIELD, f"text has {len(text)} characters, at most {MAX_CHARS}", "text")
    return text.upper()
