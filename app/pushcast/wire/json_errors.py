"""msgspec's errors as ours: reason, field and a sentence, never a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
import orjson
from msgspec import inspect

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason

_T = TypeVar("_T")
_UNKNOWN = re.compile(r"unknown field `([^`]{1,100})")
#: Of objects and arrays within each other; APNs' and Google's own stay far below it.
MAX_DEPTH = 64
MAX_PATH_CHARS = 200
#: What msgspec raises where it cannot read something. Its limit of depth, about 1,000, is none of its own errors.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_SURROGATE = re.compile("[\ud800-\udfff]")
_PATH = re.compile(r"at `\$\.?([^`]*)`")


def decoded(decoder: msgspec.json.Decoder[_T], value: bytes) -> _T:
    """A record of our own. Raises InvalidInput as `from_msgspec` makes it."""
    try:
        return decoder.decode(value)
    except UNREADABLE as error:
        raise from_msgspec(error) from None


def written(event: dict[str, Any]) -> bytes:
    """An object that was read as JSON, as JSON. Raises InvalidInput: orjson reads four times as deep as it writes."""
    try:
        return orjson.dumps(event)
    except orjson.JSONEncodeError as error:
        if "Recursion" not in str(error):
            raise
        raise from_msgspec(RecursionError()) from None


def from_msgspec(error: Exception, value: bytes | None = None, of: type | None = None) -> InvalidInput:
    """unknown_field, invalid_field or not_json. Values that the producer wrote are left out: they may be tokens.

    `value`: the JSON, in which a text that is no Unicode is looked for by name. `of`: what it was to be, which knows
    the words that a field takes.
    """
    text = str(error)
    if isinstance(error, msgspec.ValidationError):
        if unknown := _UNKNOWN.search(text):
            name = unknown[1]
            return InvalidInput(Reason.UNKNOWN_FIELD, f"unknown field {name!r} (a typing mistake?)", name)
        path = _PATH.search(text)
        field = path[1] if path else None
        words = _words(of, field) if of is not None and field is not None else []
        takes = f", it is one of {', '.join(words)}" if words else ""
        problem = re.sub(r"(Invalid enum value) .*?( - at|$)", rf"\1{takes}\2", text)
        return InvalidInput(Reason.INVALID_FIELD, problem, field)
    if isinstance(error, RecursionError):
        return InvalidInput(Reason.INVALID_FIELD, f"objects are nested more than {MAX_DEPTH} deep")
    if value is not None and (found := no_unicode(value)) is not None:
        return found
    return InvalidInput(Reason.NOT_JSON, f"the value is not JSON: {type(error).__name__}")


@cache
def _form(of: type) -> inspect.Type:
    return inspect.type_info(of)


def _words(of: type, path: str) -> list[str]:
    """What the enum or the literals at a path of msgspec's take; empty: there are none."""
    kinds = [_form(of)]
    for step in re.findall(r"[^.\[\]]+|\[[^\]]*\]", path):
        kinds = [inner for kind in kinds for each in _alternatives(kind) for inner in _within(each, step)]
    return [str(word) for kind in kinds for each in _alternatives(kind) for word in _taken(each)]


def _taken(kind: inspect.Type) -> Iterable[object]:
    if isinstance(kind, inspect.EnumType):
        return [word.value for word in kind.cls]
    return kind.values if isinstance(kind, inspect.LiteralType) else ()


def _alternatives(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _within(kind: inspect.Type, step: str) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.StructType):
        yield from (field.type for field in kind.fields if field.encode_name == step)
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
        yield kind.item_type
    elif isinstance(kind, inspect.DictType):
        yield kind.value_type


def no_unicode(value: bytes) -> InvalidInput | None:
    """What is wrong with JSON of which a text is no Unicode, with its field; None: every text is."""
    place = _no_unicode_at(value)
    if place is None:
        return None
    return InvalidInput(Reason.NOT_JSON, f"{place} is no Unicode text: half of a surrogate pair, or not UTF-8", place)


def _no_unicode_at(value: bytes) -> str | None:
    """Path of the first text that holds half of a surrogate pair or bytes that are not UTF-8; None: there is none."""
    try:
        found = json.loads(value.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    waiting: list[tuple[str, object]] = [("", found)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, str) and _SURROGATE.search(item):
            return path
        if isinstance(item, dict):
            bad = next((name for name in item if _SURROGATE.search(name)), None)
            if bad is not None:
                return path or "a field's name"
            waiting += [(f"{path}.{name}".lstrip(".")[:MAX_PATH_CHARS], child) for name, child in item.items()]
        elif isinstance(item, list):
            waiting += [(f"{path}[{place}]"[:MAX_PATH_CHARS], child) for place, child in enumerate(item)]
    return None
