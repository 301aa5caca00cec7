"""Live Activity options: from what producers write to one form, and what must be there."""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import LiveActivity, Options
from pushcast.model.words import Reason
from pushcast.wire.json_errors import MAX_DEPTH, UNREADABLE
from pushcast.wire.times import to_ms

_encode = msgspec.json.Encoder(order="sorted").encode
_LEAST, _MOST = -(2**63), 2**64 - 1  # as orjson writes them
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def normalized(options: Options, activity: LiveActivity) -> Options:
    """The options with times in milliseconds and objects as text. Raises InvalidInput (invalid_field)."""
    if options.push_type != "liveactivity":
        raise _invalid("needs push_type liveactivity", "push_type")
    if activity.event != "end" and activity.content_state is None:
        raise _invalid(f"event {activity.event} needs a content_state", "content_state")
    if activity.event == "start" and (activity.attributes is None or not activity.attributes_type):
        raise _invalid("event start needs attributes_type and attributes", "attributes")
    times = {
        name: None if value is None else to_ms(value, f"options.live_activity.{name}", 0)
        for name in ("timestamp", "stale_at", "dismissal_at")
        for value in (getattr(activity, name),)
    }
    if activity.relevance_score is not None and not isfinite(activity.relevance_score):
        raise _invalid("relevance_score is no finite number", "relevance_score")
    objects = {name: _object(getattr(activity, name), name) for name in ("content_state", "attributes")}
    return msgspec.structs.replace(options, live_activity=msgspec.structs.replace(activity, **{**times, **objects}))


def text_of(value: dict[str, Any] | str | None) -> str | None:
    """JSON text of an object as producers may write it."""
    return _encode(value).decode() if isinstance(value, dict) else value


def _object(value: dict[str, Any] | str | None, name: str) -> str | None:
    if isinstance(value, str):
        try:
            parsed: dict[str, Any] | None = _decode(value)
        except UNREADABLE as error:
            raise _invalid(f"{name} is not the text of a JSON object", name) from error
    else:
        parsed = value
    _check(parsed, name)
    return text_of(parsed)  # one spelling: texts that differ in spaces share a message


def _check(parsed: dict[str, Any] | None, name: str) -> None:
    """Refuses what a provider's JSON cannot say. Without recursion: the depth is what is measured."""
    waiting: list[tuple[Any, int]] = [(parsed, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, int) and not _LEAST <= item <= _MOST:
            raise _invalid(f"{name} holds a whole number beyond 64 bits", name)
        if not isinstance(item, dict | list):
            continue
        if depth > MAX_DEPTH:
            raise _invalid(f"{name} is nested more than {MAX_DEPTH} deep", name)
        waiting += [(child, depth + 1) for child in (item.values() if isinstance(item, dict) else item)]


def _invalid(problem: str, name: str) -> InvalidInput:
    field = f"options.live_activity.{name}"
    return InvalidInput(Reason.INVALID_FIELD, f"options.live_activity: {problem}", field)
