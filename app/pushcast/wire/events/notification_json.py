"""Fields of Avro notifications that Avro has no type for: JSON in texts, and options in a record of their own.

Existing Avro fields keep name, type and place, so what came later stands behind them and is folded into the form of
JSON events here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import ONE_MORE
from pushcast.model.words import Reason
from pushcast.wire.json_errors import UNREADABLE

_object = msgspec.json.Decoder(dict[str, Any]).decode


def folded(datum: dict[str, Any]) -> dict[str, Any]:
    """The datum as a JSON event has it. Raises InvalidInput with the Avro field."""
    datum = dict(datum)
    data_json, sound_json = datum.pop("data_json", None), datum.pop("sound_json", None)
    more, platforms = datum.pop("more", None), datum.pop("platforms", None)
    badge_add = datum.pop("badge_add", None)
    if data_json is not None:
        data, values = datum.get("data") or {}, _read(data_json, "data_json")
        twice = data.keys() & values.keys()
        if twice:
            raise _refusal(f"data_json.{min(twice)[:64]}", "is in data, too")
        datum["data"] = {**data, **values}
    if more is not None or sound_json is not None:
        options = dict(datum.get("options") or {})
        if sound_json is not None:
            if options.get("sound") is not None:
                raise _refusal("sound_json", "options.sound is given, too")
            options["sound"] = _read(sound_json, "sound_json")
        datum["options"] = {**options, **(more or {})}
    if badge_add is not None:
        options = dict(datum.get("options") or {})
        if badge_add != 1 or options.get("badge") is not None:
            raise _refusal("badge_add", "is 1, and options.badge is absent then")
        datum["options"] = {**options, "badge": ONE_MORE}
    datum["platforms"] = {name: _read(text, f"platforms.{name[:64]}") for name, text in (platforms or {}).items()}
    return datum


def _read(text: str, field: str) -> dict[str, Any]:
    try:
        return _object(text)
    except UNREADABLE as error:
        raise _refusal(field, "is no JSON object") from error


def _refusal(field: str, problem: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_FIELD, f"{field}: {problem}", field)
