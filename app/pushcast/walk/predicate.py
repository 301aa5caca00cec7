"""The compiled audience: one test for counting, walking and `device why`. Pure.

A device passes when its row is active, was there at the broadcast's time, takes this type of push, and the audience's
tree is true for it. What fails for another reason than the tree is told apart, because a count that hides a filter is
a count of something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from pushcast.model.audience import (
    EVERYBODY,
    Age,
    And,
    AppVersion,
    FollowedTopic,
    Leaf,
    Locale,
    NamedSegment,
    Node,
    Not,
    Or,
    ReportedField,
    Tag,
    UserBucket,
    Users,
)
from pushcast.model.device import DeviceState, takes
from pushcast.model.ids import bucket
from pushcast.model.locales import canonical
from pushcast.wire.avro_bytes import bytes_of
from pushcast.wire.devices.row_reader import Device
from pushcast.wire.devices.row_tail import first_at_ms, followed_and_first_at
from pushcast.wire.events.audience_leaves import version_of
from pushcast.wire.events.audiences import where_of

DAY_MS: Final = 86_400_000
Columns = Mapping[str, Any]
#: Whether a device's columns fulfil a tree; `user` is the row's.
Test = Callable[[str, Columns], bool]


class Left(StrEnum):
    """Why a device of the app is not in the audience."""

    AUDIENCE = "audience"  # the tree is false for it
    INACTIVE = "inactive"  # suspended, gone or not yet active
    AFTER_HORIZON = "after_horizon"  # registered after the broadcast
    PURPOSE = "purpose"  # its token takes no push of this type


class AudienceVerdict(NamedTuple):
    """`left` None: in the audience. `condition`: the first condition that decided it, as JSON has it."""

    left: Left | None
    condition: Mapping[str, Any] | None = None


class Predicate:
    """`horizon_ms`: rows made later are out, and ages count from here. `app`: rows of other apps never pass."""

    def __init__(self, node: Node, *, app: str, push_type: str, horizon_ms: int) -> None:
        self.app = app
        self.horizon_ms = horizon_ms
        self._node = node
        self._everybody = node == EVERYBODY
        self._topics = _topics_alone(node)
        self._push_type = push_type
        self._test = compiled(node, horizon_ms)
        #: False: the row's bytes cannot pass. Cheap; asked before a row is decoded.
        self.may_pass = _prefilter(needles(node))

    def takes_quickly(self, device: Device) -> bool:
        """Whether an active device of the app is in an audience that asks nothing of it but topics; without decoding
        its row.

        False says nothing: ask `left`. Raises InvalidInput for a broken row.
        """
        if not takes(device.purpose, self._push_type):
            return False
        if self._everybody:
            first_at = first_at_ms(device)
        elif self._topics is None:
            return False
        else:
            followed, first_at = followed_and_first_at(device)
            if self._topics.isdisjoint(followed):
                return False
        return first_at is None or first_at <= self.horizon_ms

    def left(self, user: str, columns: Columns) -> Left | None:
        """Why a row of the app is left out; None: it is in the audience."""
        if not self._test(user, columns):
            return Left.AUDIENCE
        if columns["state"] != DeviceState.ACTIVE:
            return Left.INACTIVE
        if not takes(columns["purpose"], self._push_type):
            return Left.PURPOSE
        first_at = columns["first_at"]
        if first_at is not None and first_at > self.horizon_ms:
            return Left.AFTER_HORIZON
        return None

    def why(self, user: str, columns: Columns) -> AudienceVerdict:
        """`left`, with the condition that decided when it was the tree."""
        left = self.left(user, columns)
        if left is not Left.AUDIENCE:
            return AudienceVerdict(left)
        return AudienceVerdict(left, where_of(_deciding(self._node, user, columns, self.horizon_ms)))


def compiled(node: Node, horizon_ms: int) -> Test:
    """The tree as one function."""
    match node:
        case And(nodes):
            tests = tuple([compiled(each, horizon_ms) for each in nodes])
            return lambda user, columns: all(test(user, columns) for test in tests)
        case Or(nodes):
            tests = tuple([compiled(each, horizon_ms) for each in nodes])
            return lambda user, columns: any(test(user, columns) for test in tests)
        case Not(inner):
            test = compiled(inner, horizon_ms)
            return lambda user, columns: not test(user, columns)
        case _:
            return _leaf(node, horizon_ms)


def _leaf(leaf: Leaf, horizon_ms: int) -> Test:
    match leaf:
        case FollowedTopic(name):
            return lambda user, columns: name in columns["topics"]
        case ReportedField(name, value):
            return lambda user, columns: columns[name] == value
        case Locale(prefix):
            return lambda user, columns: _speaks(columns["locale"], prefix)
        case AppVersion(comparison, version):
            return lambda user, columns: _compares(version_of(columns["app_version"]), comparison, version)
        case Age(of, comparison, days):
            column, border = ("seen_at" if of == "seen_days" else "first_at"), horizon_ms - days * DAY_MS
            young = comparison == "<="
            return lambda user, columns: columns[column] is not None and (columns[column] >= border) is young
        case Tag(key, None):
            return lambda user, columns: key in columns["tags"]
        case Tag(key, values):
            wanted = frozenset(values or ())
            return lambda user, columns: columns["tags"].get(key) in wanted
        case Users(ids):
            return lambda user, columns: user in ids
        case UserBucket(salt, first, end):
            return lambda user, columns: first <= bucket(salt, user) < end
        case NamedSegment(name):
            raise ValueError(f"segment {name!r} is not expanded")


def _speaks(locale: str | None, prefix: str) -> bool:
    if locale is None:
        return False
    tag = canonical(locale)
    return tag == prefix or tag.startswith(prefix + "-")


def _compares(have: tuple[int, ...] | None, comparison: str, version: tuple[int, ...]) -> bool:
    if have is None:
        return False
    return have == version if comparison == "=" else (have >= version) is (comparison == ">=")


def _deciding(node: Node, user: str, columns: Columns, horizon_ms: int) -> Node:
    """The part of a false tree that makes it false: one condition where there is one."""
    if isinstance(node, And):
        failed = next(each for each in node.nodes if not compiled(each, horizon_ms)(user, columns))
        return _deciding(failed, user, columns, horizon_ms)
    return node


def needles(node: Node) -> frozenset[bytes] | None:
    """Bytes of which a row that fulfils the tree holds at least one; None: nothing can be said.

    A text stands in a row as Avro writes it, its length before it. So no match is missed, and a row that holds one is
    decoded and tested exactly.
    """
    match node:
        case FollowedTopic(text) | ReportedField(_, text) | Tag(text, _):
            return frozenset((bytes_of(text.encode()),))
        case And(nodes):
            known = [found for each in nodes if (found := needles(each)) is not None]
            return min(known, key=len, default=None)
        case Or(nodes):
            parts = [needles(each) for each in nodes]
            return None if None in parts else frozenset().union(*[part for part in parts if part is not None])
        case _:
            return None


def _topics_alone(node: Node) -> frozenset[bytes] | None:
    """The topics, as UTF-8, of a tree that is true for whoever follows one of them; None: of another tree."""
    nodes = node.nodes if isinstance(node, Or) else (node,)
    topics = [each.name.encode() for each in nodes if isinstance(each, FollowedTopic)]
    return frozenset(topics) if nodes and len(topics) == len(nodes) else None


def _prefilter(found: frozenset[bytes] | None) -> Callable[[bytes], object]:
    if found is None:
        return lambda value: True
    if len(found) == 1:
        (needle,) = found
        return lambda value: needle in value
    return re.compile(b"|".join(map(re.escape, sorted(found)))).search
