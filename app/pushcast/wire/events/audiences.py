"""Audiences of broadcasts: JSON into a tree of conditions, and back. Every refusal names field and limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

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
from pushcast.model.words import Reason
from pushcast.wire.events.audience_leaves import LEAVES, MAX_BYTES, check_segment_name, refuse, text_of
from pushcast.wire.events.conditions import MAX_TOPIC_BYTES, parse_condition

MAX_TOPICS: Final = 20
MAX_LEAVES: Final = 64
MAX_DEPTH: Final = 8
FORMS: Final = ("topics", "where", "condition", "segment", "all")

#: What a segment stands for; None: there is none of this name.
Segments = Callable[[str], Node | None]


def parse_audience(given: Mapping[str, Any] | None) -> Node:
    """The tree of one of the five forms; segments stay names. Raises InvalidInput (invalid_field)."""
    if given is None:
        refuse("audience", 'is absent: a broadcast to everybody says {"all": true}')
    forms = [name for name in FORMS if name in given]
    if len(forms) != 1 or len(given) != 1:
        refuse(
            "audience", f"takes exactly one of {', '.join(FORMS)}; it has {', '.join(map(_quoted, given)) or 'none'}"
        )
    form, value = forms[0], given[forms[0]]
    if form == "all":
        if value is not True:
            refuse("audience.all", "must be true")
        return EVERYBODY
    if form == "condition":
        return _bounded(parse_condition(text_of(value, "audience.condition", MAX_BYTES)), "audience.condition")
    if form == "segment":
        return NamedSegment(check_segment_name(value, "audience.segment"))
    if form == "topics":
        return _topics(value)
    return parse_where(value, "audience.where")


def parse_where(value: Any, field: str, *, max_bytes: int | None = MAX_BYTES) -> Node:
    """A tree of `and`, `or`, `not` and conditions. Raises InvalidInput (invalid_field)."""
    size = len(msgspec.json.encode(value))
    if max_bytes is not None and size > max_bytes:
        refuse(field, f"has {size} bytes; at most {max_bytes}")
    return _bounded(_node(value, field, 1), field)


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
        refuse("audience.segment", f"{' needs '.join((*path, node.name))}: a segment must not need itself")
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
            return {"app_version": {comparison: ".".join(map(str, version)) or "0"}}
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
        refuse(field, f"has {count} entries; 1 to {MAX_TOPICS}")
    topics = [FollowedTopic(text_of(name, f"{field}[{place}]", MAX_TOPIC_BYTES)) for place, name in enumerate(value)]
    return topics[0] if len(topics) == 1 else Or(tuple(topics))


def _bounded(node: Node, field: str) -> Node:
    levels = depth(node)
    if levels > MAX_DEPTH:
        refuse(field, f"is {levels} levels deep; at most {MAX_DEPTH}")
    count = sum(1 for _ in leaves(node))
    if count > MAX_LEAVES:
        refuse(field, f"has {count} conditions; at most {MAX_LEAVES}")
    return node


def _node(value: Any, field: str, level: int) -> Node:
    if level > MAX_DEPTH:
        refuse(field, f"is more than {MAX_DEPTH} levels deep")
    if not isinstance(value, dict) or len(value) != 1:
        refuse(field, "must be an object with one name")
    ((name, inner),) = value.items()
    here = f"{field}.{name[:64]}"
    if name in ("and", "or"):
        if not isinstance(inner, list) or not inner:
            refuse(here, "must be a list of at least one condition")
        nodes = tuple([_node(each, f"{here}[{place}]", level + 1) for place, each in enumerate(inner)])
        return And(nodes) if name == "and" else Or(nodes)
    if name == "not":
        return Not(_node(inner, here, level + 1))
    read = LEAVES.get(name)
    if read is None:
        raise InvalidInput(Reason.UNKNOWN_FIELD, f"{field} has the unknown condition {name[:64]!r}", here)
    return read(inner, here)


def _quoted(name: str) -> str:
    return repr(name[:64])
