"""The conditions of an audience, each read from its JSON. Every refusal names field and limit."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from pushcast.model.audience import (
    Age,
    AppVersion,
    FollowedTopic,
    Locale,
    NamedSegment,
    Node,
    ReportedField,
    Tag,
    UserBucket,
    Users,
)
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import BUCKETS
from pushcast.model.locales import canonical
from pushcast.model.words import Platform, Reason
from pushcast.wire.events.conditions import MAX_TOPIC_BYTES
from pushcast.wire.keys import check_id

MAX_BYTES: Final = 16_384
MAX_USERS: Final = 1_000
MAX_VALUES: Final = 100
MAX_DAYS: Final = 36_500
_SEGMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,7}")


def check_segment_name(value: Any, field: str) -> str:
    """Raises InvalidInput (invalid_field)."""
    if not isinstance(value, str) or not _SEGMENT_NAME.fullmatch(value):
        refuse(field, "takes 1 to 63 letters, digits and ._-")
    return value


def _platform(value: Any, field: str) -> Node:
    if value not in list(Platform):
        refuse(field, f"is no platform; there are {', '.join(Platform)}")
    return ReportedField("platform", value)


def _locale(value: Any, field: str) -> Node:
    # The canonical form is what orders carry: it must be a text within the limit, too.
    return Locale(text_of(canonical(text_of(value, field, 64)), field, 64))


def _comparison(value: Any, field: str, words: tuple[str, ...]) -> tuple[Any, Any]:
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in words:
        refuse(field, f"takes one of {', '.join(map(repr, words))} with its value")
    return next(iter(value.items()))


def _app_version(value: Any, field: str) -> Node:
    comparison, given = _comparison(value, field, ("<", ">=", "="))
    version = version_of(given)
    if version is None:
        refuse(field, "must be dotted numbers, at most 8 of 9 digits: 7.1")
    return AppVersion(comparison, version)


def version_of(text: Any) -> tuple[int, ...] | None:
    """Dotted numbers without zeros at the end; None for anything else."""
    if not isinstance(text, str) or not _VERSION.fullmatch(text):
        return None
    parts = [int(part) for part in text.split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def _age(value: Any, field: str) -> Node:
    comparison, days = _comparison(value, field, ("<=", ">"))
    if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= MAX_DAYS:
        refuse(field, f"takes whole days, 0 to {MAX_DAYS}")
    return Age("seen_days" if field.endswith("seen_days") else "registered_days", comparison, days)


def _tag(value: Any, field: str) -> Node:
    if not isinstance(value, dict) or "key" not in value or len(value) != 2:
        refuse(field, 'takes key and one of "=", "exists", "in"')
    key = text_of(value["key"], f"{field}.key", MAX_BYTES)
    if value.get("exists") is True:
        return Tag(key)
    if "=" in value:
        return Tag(key, (text_of(value["="], f"{field}.=", MAX_BYTES, empty=True),))
    given = value.get("in")
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_VALUES:
        refuse(field, f'needs "=" with a text, "exists": true, or "in" with 1 to {MAX_VALUES} texts')
    return Tag(
        key, tuple([text_of(each, f"{field}.in[{place}]", MAX_BYTES, empty=True) for place, each in enumerate(given)])
    )


def _users(value: Any, field: str) -> Node:
    ids = [value] if isinstance(value, str) else value
    if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_USERS:
        refuse(field, f"takes 1 to {MAX_USERS} user ids")
    return Users(
        frozenset([check_id(text_of(each, f"{field}[{place}]", MAX_BYTES), field) for place, each in enumerate(ids)])
    )


def _bucket(value: Any, field: str) -> Node:
    if not isinstance(value, dict) or set(value) != {"salt", "from", "to"}:
        refuse(field, "takes salt, from and to")
    first, end = value["from"], value["to"]
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in (first, end)) or not (
        0 <= first < end <= BUCKETS
    ):
        refuse(field, f"needs 0 <= from < to <= {BUCKETS}")
    return UserBucket(check_id(text_of(value["salt"], f"{field}.salt", MAX_BYTES), f"{field}.salt"), first, end)


LEAVES: Final[dict[str, Callable[[Any, str], Node]]] = {
    "topic": lambda value, field: FollowedTopic(text_of(value, field, MAX_TOPIC_BYTES)),
    "platform": _platform,
    "locale": _locale,
    "region": lambda value, field: ReportedField("region", text_of(value, field, 64)),
    "country": lambda value, field: ReportedField("country", text_of(value, field, 64)),
    "time_zone": lambda value, field: ReportedField("time_zone", text_of(value, field, 64)),
    "app_version": _app_version,
    "seen_days": _age,
    "registered_days": _age,
    "tag": _tag,
    "user": _users,
    "bucket": _bucket,
    "segment": lambda value, field: NamedSegment(check_segment_name(value, field)),
}


def text_of(value: Any, field: str, max_bytes: int, *, empty: bool = False) -> str:
    """A text of at most so many bytes in UTF-8; with `empty`, none is one, too."""
    if not isinstance(value, str) or not (value or empty):
        refuse(field, "must be a text")
    size = len(value.encode())
    if size > max_bytes:
        refuse(field, f"has {size} bytes; at most {max_bytes}")
    return value


def refuse(field: str, problem: str) -> NoReturn:
    """Raises InvalidInput (invalid_field) naming the field."""
    raise InvalidInput(Reason.INVALID_FIELD, f"{field} {problem}", field)
