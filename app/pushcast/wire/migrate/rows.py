"""What the readers of foreign exports share. Pure.

`at` of a change is the last activity that the export tells, never now: an import can never beat a live registration,
and importing a file twice changes nothing. An export that tells none needs a time from whoever imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

#: Prefix of the user of a device that has none.
NOBODYS: Final = "device:"


class Skipped(StrEnum):
    """Why a row is no device of ours."""

    DEVICE_TYPE = "device_type"  # mail, SMS, or a platform that Pushcast does not reach
    INVALID = "invalid_identifier"  # its system knows that the token is dead
    UNSUBSCRIBED = "unsubscribed"
    NO_TOKEN = "no_token"  # noqa: S105 - a reason
    SANDBOX = "sandbox"  # a token of Apple's development environment
    NO_TIME = "no_time"  # nobody says when it was last active; `--at` does
    UNREADABLE = "unreadable"  # the row has not the form of its system's export


class ImportMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The map file. `columns`: our field by name, and theirs. `constants`: fields that are the same in every row.
    `platforms`: their words, and ours. `topics`: their tags or channels, and our topics; `tags`: their tags, and ours;
    what a given one does not name is left out. `user_tag`: what a tag begins with that names the user."""

    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    platforms: dict[str, str] = {}
    topics: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    user_tag: str | None = None

    def topics_of(self, names: Iterable[object]) -> list[str]:
        """Topics that a device follows, by their names for it."""
        texts = [name for name in names if isinstance(name, str) and name]
        if self.topics is None:
            return list(dict.fromkeys(texts))
        return list(dict.fromkeys(self.topics[name] for name in texts if name in self.topics))

    def tags_of(self, tags: Mapping[str, object]) -> dict[str, str]:
        """Tags of a device, by their names for it."""
        said = {str(name): str(value) for name, value in tags.items()}
        return said if self.tags is None else {self.tags[name]: said[name] for name in said if name in self.tags}


class Import(NamedTuple):
    """How a file is read. `at`: of rows that tell no time, RFC 3339; None: these are left out."""

    app: str
    at: str | None = None
    names: ImportMap = ImportMap()


#: The user and the change of a device, or why a row is none.
FoundDevice = tuple[str, dict[str, Any]] | Skipped
Row = Mapping[str, Any]


def registration(
    how: Import,
    user: str | None,
    device: str,
    platform: str,
    address: str | Mapping[str, str],
    said: Mapping[str, Any],
) -> FoundDevice:
    """Of one device. `address`: its token, or the subscription of a browser. `said`: what the export tells beside that,
    `at` among it; what is empty is left out. What is wrong with it beyond that is the decoder's to say."""
    event: dict[str, Any] = {"op": "register", "app": how.app, "device": device, "platform": platform}
    event["token" if isinstance(address, str) else "subscription"] = address
    event |= {name: value for name, value in said.items() if value}
    if not event.get("at"):
        if how.at is None:
            return Skipped.NO_TIME
        event["at"] = how.at
    return user or NOBODYS + device, event


def text_of(row: Row, name: str) -> str:
    """A text of a row; empty for what is none."""
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""
