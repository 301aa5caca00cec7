"""Apps and classes that an event names and the configuration does not have."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason

_SHOWN_CHARS = 64
_LISTED = 10


def unknown_app(name: str, known: Iterable[str]) -> InvalidInput:
    """The error that names the apps there are."""
    return InvalidInput(Reason.UNKNOWN_APP, _sentence("app", "apps", name, sorted(known)), "app")


def unknown_class(name: str, known: Iterable[str]) -> InvalidInput:
    """The error that names the classes there are."""
    return InvalidInput(Reason.UNKNOWN_CLASS, _sentence("class", "classes", name, sorted(known)), "class")


def _sentence(noun: str, plural: str, name: str, known: list[str]) -> str:
    said = f"{noun} {name[:_SHOWN_CHARS]!r} is not configured"
    if near := get_close_matches(name[:_SHOWN_CHARS], known, 1):
        return f"{said}; did you mean {near[0]}?"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"{said}; {plural} are: {', '.join(known[:_LISTED]) or 'none'}{more}"
