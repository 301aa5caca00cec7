"""Audiences of broadcasts: JSON into a tree of conditions, and back. Every refusal names field and limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from pushcast.model.audience import (
    EVERYBODY,
    Age,
    And,
    AppVersion,
    FollowedTopic,
    Locale,
    NamedSegment,
    Node,
    Not,
    Or,
    ReportedField,
    Tag,
    UserBucket,
    Users,
    depth,
    leaves,
)
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import BUCKETS
from pushcast.model.locales import canonical
from pushcast.model.words import Platform, Reason
from pushcast.wire.conditions import MAX_TOPIC_BYTES, parse_condition
from pushcast.wire.keys import check_id

MAX_TOPICS: Final = 20
MAX_LEAVES: Final = 64
MAX_DEPTH: Final = 8
MAX_BYTES: Final = 16_384
MAX_USERS: Final = 1_000
MAX_VALUES: Final = 100
MAX_DAYS: Final = 36_500
FORMS: Final = ("topics", "where", "condition", "segment", "all")
_SEGMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,7}")

#: What a segment stands for; None: there is none of this name.
Segments = Callable[[str], Node | None]


def parse_audience(given: Mapping[str, Any] | None) -> Node:
    """The tree of one of the five forms; segments stay names. Raises InvalidInput (invalid_field)."""
    if given is None:
        _refuse("audience", 'is absent: a broadcast to everybody says {"all": true}')
    forms = [name for name in FORMS if name in given]
    if len(forms) != 1 or len(given) != 1:
        _refuse(
            "audience", f"takes exactly one of {', '.join(FORMS)}; it has {', '.join(map(_quoted, given)) or 'none'}"
        )
    form, value = forms[0], given[forms[0]]
    if form == "all":
        if value is not True:
            _refuse("audience.all", "must be true")
        return EVERYBODY
    if form == "condition":
        return _bounded(parse_condition(_text(value, "audience.condition", MAX_BYTES)), "audience.condition")
    if form == "segment":
        return NamedSegment(check_segment_name(value, "audience.segment"))
    if form == "topics":
        return _topics(value)
    return parse_where(value, "audience.where")


def parse_where(value: Any, field: str, *, max_bytes: int | None = MAX_BYTES) -> Node:
    """A tree of `and`, `or`, `not` and conditions. Raises InvalidInput (invalid_field)."""
    size = len(msgspec.json.encode(value))
    if max_bytes is not None and size > max_bytes:
        _refuse(field, f"has {size} bytes; at most {max_bytes}")
    return _bounded(_node(value, field, 1), field)


def check_segment_name(value: Any, field: str) -> str:
    """Raises InvalidInput (invalid_field)."""
    if not isinstance(value, str) or not _SEGMENT_NAME.fullmatch(value):
        _refuse(field, "takes 1 to 63 letters, digits and ._-")
    return value


def expanded(node: Node, segments: Segments, path: tuple[str, ...] = ()) -> Node:
    """The tree without names: each segment replaced by what it stands for now.

    Raises InvalidInput: unknown_segment, or invalid_field for a segment that needs itself and for a tree that is too
    large then.
    """
    return _bounded(_expanded(node, segments, path), "audience")


def _expanded(node: Node, segments: Segments, path: tuple[str, ...]) -> Node:
    if isinstance(node, And):
        return And(tuple([_expanded(each, segments, path) for each in node.nodes]))
    if isinstance(node, Or):
        return Or(tuple([_expanded(each, segments, path) for each in node.nodes]))
    if isinstance(node, Not):
        return Not(_expanded(node.node, segments, path))
    if not isinstance(node, NamedSegment):
        return node
    if node.name in path:
        _refuse("audience.segment", f"{' needs '.join((*path, node.name))}: a segment must not need itself")
    found = segments(node.name)
    if found is None:
        raise InvalidInput(Reason.UNKNOWN_SEGMENT, f"there is no segment {node.name!r}", "audience.segment")
    return _expanded(found, segments, (*path, node.name))


def where_of(node: Node) -> dict[str, Any]:
    """The JSON form that `parse_where` reads as this tree."""
    match node:
        case And(nodes):
            return {"and": [where_of(each) for each in nodes]}
        case Or(nodes):
            return {"or": [where_of(each) for each in nodes]}
        case Not(inner):
            return {"not": where_of(inner)}
        case FollowedTopic(name):
            return {"topic": name}
        case ReportedField(name, value):
            return {name: value}
        case Locale(prefix):
            return {"locale": prefix}
        case AppVersion(comparison, version):
            return {"app_version": {comparison: ".".join(map(str, version))}}
        case Age(of, comparison, days):
            return {of: {comparison: days}}
        case Tag(key, None):
            return {"tag": {"key": key, "exists": True}}
        case Tag(key, values):
            return {"tag": {"key": key, "in": list(values or ())}}
        case Users(ids):
            return {"user": sorted(ids)}
        case UserBucket(salt, first, end):
            return {"bucket": {"salt": salt, "from": first, "to": end}}
        case NamedSegment(name):
            return {"segment": name}


def _topics(value: Any) -> Node:
    field = "audience.topics"
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TOPICS:
        count = len(value) if isinstance(value, list) else "no list of"
        _refuse(field, f"has {count} entries; 1 to {MAX_TOPICS}")
    topics = [FollowedTopic(_text(name, f"{field}[{place}]", MAX_TOPIC_BYTES)) for place, name in enumerate(value)]
    return topics[0] if len(topics) == 1 else Or(tuple(topics))


def _bounded(node: Node, field: str) -> Node:
    levels = depth(node)
    if levels > MAX_DEPTH:
        _refuse(field, f"is {levels} levels deep; at most {MAX_DEPTH}")
    count = sum(1 for _ in leaves(node))
    if count > MAX_LEAVES:
        _refuse(field, f"has {count} conditions; at most {MAX_LEAVES}")
    return node


def _node(value: Any, field: str, level: int) -> Node:
    if level > MAX_DEPTH:
        _refuse(field, f"is more than {MAX_DEPTH} levels deep")
    if not isinstance(value, dict) or len(value) != 1:
        _refuse(field, "must be an object with one name")
    ((name, inner),) = value.items()
    here = f"{field}.{name[:64]}"
    if name in ("and", "or"):
        if not isinstance(inner, list) or not inner:
            _refuse(here, "must be a list of at least one condition")
        nodes = tuple([_node(each, f"{here}[{place}]", level + 1) for place, each in enumerate(inner)])
        return And(nodes) if name == "and" else Or(nodes)
    if name == "not":
        return Not(_node(inner, here, level + 1))
    read = _LEAVES.get(name)
    if read is None:
        raise InvalidInput(Reason.UNKNOWN_FIELD, f"{field} has the unknown condition {name[:64]!r}", here)
    return read(inner, here)


def _platform(value: Any, field: str) -> Node:
    if value not in list(Platform):
        _refuse(field, f"is no platform; there are {', '.join(Platform)}")
    return ReportedField("platform", value)


def _locale(value: Any, field: str) -> Node:
    return Locale(canonical(_text(value, field, 64)))


def _comparison(value: Any, field: str, words: tuple[str, ...]) -> tuple[Any, Any]:
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in words:
        _refuse(field, f"takes one of {', '.join(map(repr, words))} with its value")
    return next(iter(value.items()))


def _app_version(value: Any, field: str) -> Node:
    comparison, given = _comparison(value, field, ("<", ">=", "="))
    version = version_of(given)
    if version is None:
        _refuse(field, "must be dotted numbers, at most 8 of 9 digits: 7.1")
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
        _refuse(field, f"takes whole days, 0 to {MAX_DAYS}")
    return Age("seen_days" if field.endswith("seen_days") else "registered_days", comparison, days)


def _tag(value: Any, field: str) -> Node:
    if not isinstance(value, dict) or "key" not in value or len(value) != 2:
        _refuse(field, 'takes key and one of "=", "exists", "in"')
    key = _text(value["key"], f"{field}.key", MAX_BYTES)
    if value.get("exists") is True:
        return Tag(key)
    if "=" in value:
        return Tag(key, (_text(value["="], f"{field}.=", MAX_BYTES, empty=True),))
    given = value.get("in")
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_VALUES:
        _refuse(field, f'needs "=" with a text, "exists": true, or "in" with 1 to {MAX_VALUES} texts')
    return Tag(
        key, tuple([_text(each, f"{field}.in[{place}]", MAX_BYTES, empty=True) for place, each in enumerate(given)])
    )


def _users(value: Any, field: str) -> Node:
    ids = [value] if isinstance(value, str) else value
    if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_USERS:
        _refuse(field, f"takes 1 to {MAX_USERS} user ids")
    return Users(
        frozenset([check_id(_text(each, f"{field}[{place}]", MAX_BYTES), field) for place, each in enumerate(ids)])
    )


def _bucket(value: Any, field: str) -> Node:
    if not isinstance(value, dict) or set(value) != {"salt", "from", "to"}:
        _refuse(field, "takes salt, from and to")
    first, end = value["from"], value["to"]
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in (first, end)) or not (
        0 <= first < end <= BUCKETS
    ):
        _refuse(field, f"needs 0 <= from < to <= {BUCKETS}")
    return UserBucket(check_id(_text(value["salt"], f"{field}.salt", MAX_BYTES), f"{field}.salt"), first, end)


_LEAVES: Final[dict[str, Callable[[Any, str], Node]]] = {
    "topic": lambda value, field: FollowedTopic(_text(value, field, MAX_TOPIC_BYTES)),
    "platform": _platform,
    "locale": _locale,
    "region": lambda value, field: ReportedField("region", _text(value, field, 64)),
    "country": lambda value, field: ReportedField("country", _text(value, field, 64)),
    "time_zone": lambda value, field: ReportedField("time_zone", _text(value, field, 64)),
    "app_version": _app_version,
    "seen_days": _age,
    "registered_days": _age,
    "tag": _tag,
    "user": _users,
    "bucket": _bucket,
    "segment": lambda value, field: NamedSegment(check_segment_name(value, field)),
}


def _text(value: Any, field: str, max_bytes: int, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or empty):
        _refuse(field, "must be a text")
    size = len(value.encode())
    if size > max_bytes:
        _refuse(field, f"has {size} bytes; at most {max_bytes}")
    return value


def _quoted(name: str) -> str:
    return repr(name[:64])


def _refuse(field: str, problem: str) -> NoReturn:
    raise InvalidInput(Reason.INVALID_FIELD, f"{field} {problem}", field)
