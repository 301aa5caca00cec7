"""The types of FCM's request, from Google's own list of its fields (`v1.json`): nothing here is from memory.

Protocol Buffers' JSON takes the names in both spellings; these types have snake_case, as most senders write it.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Annotated, Any, Final, Literal

import msgspec

CAMEL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_DOCUMENT: Final = json.loads((files(__package__) / "v1.json").read_text())
#: Fields by type, spelt as in Google's document; each field's type as `_type` reads it.
FIELDS: Final[dict[str, dict[str, Any]]] = _DOCUMENT["schemas"]
_INT32: Final = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_SCALARS: Final[dict[str, Any]] = {
    "string": str,
    "google-duration": str,
    "google-datetime": str,
    "boolean": bool,
    "int32": _INT32,
    "float": float,
    "any": Any,
}


def snake(name: str) -> str:
    """`collapseKey` as `collapse_key`."""
    return CAMEL.sub(lambda found: "_" + found[1].lower(), name)


def struct_of(name: str) -> Any:
    """A msgspec type for one of Google's: every field may be absent, an unknown one is refused."""
    fields = [(snake(field), _type(kind) | None, None) for field, kind in FIELDS[name].items()]
    return msgspec.defstruct(name, fields, forbid_unknown_fields=True, omit_defaults=True)


def _type(kind: Any) -> Any:
    if isinstance(kind, str):
        return _SCALARS[kind]
    [(shape, inner)] = kind.items()
    if shape == "list":
        return list[_type(inner)]  # type: ignore[misc]
    if shape == "map":
        return dict[str, _type(inner)]  # type: ignore[misc]
    if shape == "enum":  # FCM takes `high` as well: its own guide writes so
        return Literal[(*inner, *(value.lower() for value in inner))]
    return struct_of(inner)
