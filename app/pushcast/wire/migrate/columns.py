"""A table of one's own as device changes: the map file says which column is what. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Platform
from pushcast.wire.migrate.rows import FoundDevice, Import, Skipped, registration

_NEEDED: Final = ("device", "platform", "token")
#: Fields of a change that a column or a constant may stand for.
FIELDS: Final = frozenset(
    (*_NEEDED, "user", "locale", "time_zone", "app_version", "country", "region", "purpose", "topics", "tags", "at")
)


def check_map(how: Import, header: list[str]) -> None:
    """Raises ConfigurationError for a map that does not go with the file."""
    names = how.names
    given = names.columns.keys() | names.constants.keys()
    if unknown := sorted(given - FIELDS):
        raise ConfigurationError(f"--map: {unknown[0]!r} is no field; there are {', '.join(sorted(FIELDS))}")
    if missing := [name for name in _NEEDED if name not in given]:
        raise ConfigurationError(f"--map: says nothing of {missing[0]}; a column or a constant is needed")
    if absent := sorted(set(names.columns.values()) - set(header)):
        raise ConfigurationError(f"--map: the file has no column {absent[0]!r}; it has {', '.join(header)[:500]}")


def changes_of(row: Mapping[str, str | None], how: Import) -> Iterator[FoundDevice]:
    """Of one row. Topics are separated by commas, or a list in JSON; tags are an object in JSON."""
    names = how.names
    said: dict[str, Any] = dict(names.constants)
    said |= {field: (row.get(column) or "").strip() for field, column in names.columns.items()}
    word = said["platform"]
    platform = names.platforms.get(word, word)
    if platform not in set(Platform):
        yield Skipped.DEVICE_TYPE
    elif not said["token"]:
        yield Skipped.NO_TOKEN
    elif not said["device"]:
        yield Skipped.UNREADABLE
    else:
        for field, read in (("topics", _topics), ("tags", _tags)):
            if said.get(field):
                said[field] = read(said[field], how)
        user, device, token = said.pop("user", None), said.pop("device"), said.pop("token")
        del said["platform"]
        yield registration(how, user, device, platform, token, said)


def _topics(text: str, how: Import) -> list[str]:
    listed = _json(text)
    return how.names.topics_of(listed if isinstance(listed, list) else map(str.strip, text.split(",")))


def _tags(text: str, how: Import) -> Any:
    tags = _json(text)
    return how.names.tags_of(tags) if isinstance(tags, dict) else text  # which the decoder refuses by name


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
