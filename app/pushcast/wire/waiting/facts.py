"""What the keeper has to know of an event that it neither decodes nor changes: the planner tells it in a header."""

from __future__ import annotations

from typing import Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire.json_errors import UNREADABLE

#: Header of a keep record.
FACTS: Final = "push-facts"
#: Texts are cut to this: a digest shows no more of one of them.
MAX_TITLE_CHARS: Final = 200


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """`gate`: what holds it, a word of `Reason`. `key`: what a digest's members share besides app and class. `zone`: of
    the user. Times are milliseconds since the epoch."""

    gate: str
    klass: str
    expires_at: int
    app: str | None = None
    key: str = ""
    title: str = ""
    dry_run: bool = False
    zone: str = "UTC"
    unwanted: bool = False  # its user has switched its thread off since


_ENCODE: Final = msgspec.json.Encoder().encode
_DECODER: Final = msgspec.json.Decoder(Facts)


def encode_facts(facts: Facts) -> bytes:
    """JSON. A long title is cut."""
    if len(facts.title) > MAX_TITLE_CHARS:
        facts = msgspec.structs.replace(facts, title=facts.title[: MAX_TITLE_CHARS - 1] + "…")
    return _ENCODE(facts)


def decode_facts(value: bytes) -> Facts:
    """Raises InvalidInput: only planners write them, so that means a foreign writer."""
    try:
        return _DECODER.decode(value)
    except UNREADABLE as error:
        raise InvalidInput(Reason.INVALID_FIELD, f"header {FACTS}: {error}", FACTS) from error
