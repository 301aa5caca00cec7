"""Whom a broadcast is for: a tree of conditions on one device. Pure; two-valued: a condition on what a device does not
say of itself is false, so `not locale de` takes devices without a locale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Comparison = Literal["<", ">=", "="]
AgeComparison = Literal["<=", ">"]


@dataclass(frozen=True, slots=True)
class FollowedTopic:
    """The device follows it."""

    name: str


@dataclass(frozen=True, slots=True)
class ReportedField:
    """A word that the device reports equals this one: platform, country, region or time_zone."""

    name: Literal["platform", "country", "region", "time_zone"]
    value: str


@dataclass(frozen=True, slots=True)
class Locale:
    """A BCP 47 prefix: `de` takes de and de-AT, and not den. Lower case, parts by hyphens."""

    prefix: str


@dataclass(frozen=True, slots=True)
class AppVersion:
    """Dotted numbers; missing parts are 0. What is no such number is false for every comparison."""

    comparison: Comparison
    version: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Age:
    """Days since the device was last seen, or since its row was made, at the time of the broadcast."""

    of: Literal["seen_days", "registered_days"]
    comparison: AgeComparison
    days: int


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag is there and, with `values`, is one of them."""

    key: str
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Users:
    """The device's user is one of these."""

    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class UserBucket:
    """The user's bucket (`ids.bucket`) is at least `first` and below `end`, of 10,000."""

    salt: str
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class NamedSegment:
    """A named condition; it is replaced by what it stands for before anybody is tested."""

    name: str


@dataclass(frozen=True, slots=True)
class And:
    """All of them; nothing in it takes everybody."""

    nodes: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """One of them at least."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    node: Node


Leaf = FollowedTopic | ReportedField | Locale | AppVersion | Age | Tag | Users | UserBucket | NamedSegment
Node = Leaf | And | Or | Not
EVERYBODY = And()


def leaves(node: Node) -> Iterator[Leaf]:
    """Every condition of the tree, from left to right."""
    if isinstance(node, And | Or):
        for each in node.nodes:
            yield from leaves(each)
    elif isinstance(node, Not):
        yield from leaves(node.node)
    else:
        yield node


def topics_of(node: Node) -> list[str]:
    """Names of the topics that the tree asks for, each as often as it does."""
    return [leaf.name for leaf in leaves(node) if isinstance(leaf, FollowedTopic)]


def depth(node: Node) -> int:
    """Levels of the tree; a single condition has one."""
    if isinstance(node, And | Or):
        return 1 + max(map(depth, node.nodes), default=0)
    return 1 + depth(node.node) if isinstance(node, Not) else 1
