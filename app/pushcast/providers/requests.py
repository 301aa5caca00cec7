"""Rendered requests in columns: of one message with many targets, or of many messages with few each."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from pushcast.providers.engines.engine import GATHERED_TARGETS, MAX_GATHERED
from pushcast.providers.port import Part


class Requests:
    """Requests that share a template; entry i of each list belongs to request i.

    `key` is the provider's own name of the template. `owners` is the part that a request belongs to, `targets` the
    index into its message's targets. `names`: what the provider will call an accepted push, where that is known before.
    """

    __slots__ = ("columns", "key", "names", "owners", "targets")

    def __init__(self, key: Hashable, columns: int) -> None:
        self.key = key
        self.columns: list[list[Any]] = [[] for _ in range(columns)]
        self.owners: list[Part] = []
        self.targets: list[int] = []
        self.names: list[str] = []

    def __len__(self) -> int:
        return len(self.owners)

    def picked(self, positions: list[int]) -> list[list[Any]]:
        """The columns of some of the requests, in that order."""
        return [[column[position] for position in positions] for column in self.columns]


class Shelf:
    """Gathers requests by template, at most 1,000 together; large parts have requests of their own. `all` has them in
    the order they were begun."""

    __slots__ = ("_open", "all")

    def __init__(self) -> None:
        self.all: list[Requests] = []
        self._open: dict[Hashable, Requests] = {}

    def requests(self, key: Hashable, columns: int, size: int) -> Requests:
        """Where `size` requests of this template are to be added."""
        if size > GATHERED_TARGETS:
            requests = Requests(key, columns)
            self.all.append(requests)
            return requests
        found = self._open.get(key)
        if found is None or len(found.owners) + size > MAX_GATHERED:
            found = self._open[key] = Requests(key, columns)
            self.all.append(found)
        return found
