"""What a script may send as a value: read before anything is changed, so that a wrong one changes nothing.

A value of the wrong type that is found out when a request meets it would end that client's connection. Each function
takes the name of the value for its ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from pushcast.http2 import frames as f

#: Of HTTP that are final answers.
FIRST_STATUS, LAST_STATUS = 200, 599


class Setting(NamedTuple):
    """`read` turns a name and its value of JSON into what `take` sets; it raises ValueError."""

    read: Callable[[str, Any], Any]
    take: Callable[[Any], None]


def attribute(target: object, name: str, read: Callable[[str, Any], Any]) -> Setting:
    """Sets an attribute to what was read."""
    return Setting(read, partial(setattr, target, name))


def flag(name: str, value: Any) -> bool:
    """true or false; also 1 or 0."""
    if value not in (True, False):
        raise ValueError(f"{name}: {value!r:.60} is not true or false")
    return bool(value)


def whole(name: str, value: Any, least: int = 0, most: int = f.LARGEST_STREAM_ID) -> int:
    """A whole number."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name}: {value!r:.60} is not a whole number from {least} to {most}")
    return value


def number(name: str, value: Any, least: float = 0.0, most: float = math.inf) -> float:
    """A finite number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:
        bounds = [f"at least {least:g}"] if math.isfinite(least) else []
        bounds += [f"at most {most:g}"] if math.isfinite(most) else []
        raise ValueError(f"{name}: {value!r:.60} is not a finite number {' and '.join(bounds)}".rstrip())
    return float(value)


def text(name: str, value: Any) -> str:
    """A text that is Unicode."""
    if not isinstance(value, str) or (not value.isascii() and value != value.encode(errors="replace").decode()):
        raise ValueError(f"{name}: {value!r:.60} is not a text")
    return value


def texts(name: str, value: Any) -> list[str]:
    """A list of texts."""
    if not isinstance(value, list):
        raise ValueError(f"{name}: {value!r:.60} is not a list of texts")  # noqa: TRY004 - becomes a 400
    return [text(name, each) for each in value]


def one_of(words: Sequence[str]) -> Callable[[str, Any], str]:
    """One of these words."""

    def read(name: str, value: Any) -> str:
        if value not in words:
            raise ValueError(f"{name}: {value!r:.60} is not one of {', '.join(words)}")
        return str(value)

    return read


def optional(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """None, or what `read` takes."""
    return lambda name, value: None if value is None else read(name, value)


def fields(name: str, value: Any, known: Sequence[str]) -> dict[str, Any]:
    """An object with no other fields than these."""
    if not isinstance(value, dict):
        raise ValueError(f"{name}: {value!r:.60} is not an object")  # noqa: TRY004 - becomes a 400
    if unknown := sorted(set(value) - set(known)):
        raise ValueError(f"{name}: unknown {unknown}; known: {', '.join(known)}")
    return value


def status(name: str, value: Any) -> int:
    """Of an answer that is final."""
    return whole(name, value, FIRST_STATUS, LAST_STATUS)
