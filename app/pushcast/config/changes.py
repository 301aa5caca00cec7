"""What of a changed configuration a running process may take, and what needs a restart. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from pushcast.config.settings import Settings

#: Settings that a running process takes; `*` stands for one name. Credential files are watched by themselves.
RELOADABLE: Final = (
    "observe.log_level",
    "classes.*.ttl_seconds",
    "classes.*.window_seconds",
    "classes.*.window_min_seconds",
    "classes.*.window_max_seconds",
    "gateway.ack_seconds",
    "gateway.request_seconds",
    "gateway.max_connections",
    "gateway.max_connections_per_address",
    "gateway.cors_origins",
    "webhooks",  # with all that stands below
    "apps.*.*.canary",
)


class Changes(NamedTuple):
    """`settings`: the old ones with what was taken. Names are dotted; values are not told, they may be secrets."""

    settings: Settings
    taken: list[str]
    restart_needed: list[str]


def compare(old: Settings, new: Settings) -> Changes:
    """What of `new` may replace `old` without a restart."""
    found = Changes(old, [], [])
    return found._replace(settings=_merged(old, new, "", found))


def reloadable(name: str) -> bool:
    """Whether a setting is taken by a running process."""
    depth = name.count(".")
    return any(pattern.count(".") == depth and fnmatchcase(name, pattern) for pattern in RELOADABLE)


def _merged(old: Any, new: Any, name: str, found: Changes) -> Any:
    if old == new:
        return old
    if reloadable(name):
        found.taken.append(name)
        return new
    if isinstance(old, BaseModel) and type(old) is type(new):
        names = type(old).model_fields
        update = {each: _merged(getattr(old, each), getattr(new, each), _joined(name, each), found) for each in names}
        return old.model_copy(update=update)
    if isinstance(old, dict) and isinstance(new, dict):
        found.restart_needed.extend(_joined(name, each) for each in sorted(old.keys() ^ new.keys()))
        return {
            each: _merged(value, new[each], _joined(name, each), found) if each in new else value
            for each, value in old.items()
        }
    found.restart_needed.append(name)
    return old


def _joined(name: str, more: str) -> str:
    return f"{name}.{more}" if name else more
