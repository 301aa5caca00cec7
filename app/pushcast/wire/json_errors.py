"""msgspec's errors as ours: reason, field and a sentence, never a value."""

from __future__ import annotations

import re

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason

_UNKNOWN = re.compile(r"unknown field `([^`]{1,100})")
_PATH = re.compile(r"at `\$\.?([^`]*)`")


def from_msgspec(error: Exception) -> InvalidInput:
    """unknown_field, invalid_field or not_json. Values that the producer wrote are left out: they may be tokens."""
    text = str(error)
    if isinstance(error, msgspec.ValidationError):
        if unknown := _UNKNOWN.search(text):
            name = unknown[1]
            return InvalidInput(Reason.UNKNOWN_FIELD, f"unknown field {name!r} (a typing mistake?)", name)
        path = _PATH.search(text)
        field = path[1] if path else None
        problem = re.sub(r"(Invalid enum value) .*?( - at|$)", r"\1\2", text)
        return InvalidInput(Reason.INVALID_FIELD, problem, field)
    return InvalidInput(Reason.NOT_JSON, f"the value is not JSON: {type(error).__name__}")
