"""Values of MongoDB as `mongoexport` writes them: extended JSON, canonical or relaxed, and of older releases. Pure.

https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/ has the forms. A number or a date is an object with
one key, or plain: which of them depends on `--jsonFormat` and on the release.
"""

from __future__ import annotations

import math
from typing import Any, Final

from pushcast.wire.migrate.rows import Row
from pushcast.wire.times import MAX_MS, rfc3339

_INTEGERS: Final = ("$numberInt", "$numberLong")
_FRACTIONS: Final = ("$numberDouble", "$numberDecimal")


def plain(row: Row) -> Row:
    """The row with plain values: numbers, ids as text, times as RFC 3339. What is not understood stays as it is."""
    return {name: _plain(value) if isinstance(value, dict) else value for name, value in row.items()}


def _plain(value: dict[str, Any]) -> Any:
    if len(value) != 1:
        return value
    ((kind, said),) = value.items()
    if kind == "$oid" and isinstance(said, str):
        return said
    found = _time(said) if kind == "$date" else _number(kind, said)
    return value if found is None else found


def _number(kind: str, said: object) -> int | float | None:
    if not isinstance(said, str):
        return None
    try:
        if kind in _INTEGERS:
            return int(said)
        if kind in _FRACTIONS and math.isfinite(number := float(said)):
            return number
    except ValueError:
        pass
    return None


def _time(said: object) -> str | None:
    """RFC 3339 as it is; milliseconds as RFC 3339."""
    if isinstance(said, str):
        return said
    if isinstance(said, dict) and len(said) == 1:
        ((kind, number),) = said.items()
        said = _number(kind, number)
    if isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said <= MAX_MS:
        return rfc3339(int(said))
    return None
