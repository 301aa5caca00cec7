"""Whether bad answers are of many: one user with old devices, one odd record or one push service of somebody's own
says nothing about a provider. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Witness(NamedTuple):
    """Whose bad answer it was. `site`: the owner of a Web Push endpoint, "" on other platforms.

    `again`: of a probe that had been refused before.
    """

    token: bytes
    user: str
    record: Hashable
    site: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class WantedBreadth:
    """How many must have seen it, each counted once. `sites` counts where there are any."""

    tokens: int = 20
    users: int = 10
    records: int = 3
    sites: int = 3


class Breadth:
    """Distinct witnesses, of each kind as many as are wanted and no more: its memory is bounded."""

    __slots__ = ("_records", "_sites", "_tokens", "_users", "_wanted")

    def __init__(self, wanted: WantedBreadth) -> None:
        self._wanted = wanted
        self._tokens: set[bytes] = set()
        self._users: set[str] = set()
        self._records: set[Hashable] = set()
        self._sites: set[str] = set()

    def add(self, witnesses: Iterable[Witness]) -> None:
        """Counts those that were not there."""
        wanted = self._wanted
        tokens, users, records, sites = self._tokens, self._users, self._records, self._sites
        for witness in witnesses:
            if len(tokens) < wanted.tokens:
                tokens.add(witness.token)
            if len(users) < wanted.users:
                users.add(witness.user)
            if len(records) < wanted.records:
                records.add(witness.record)
            if len(sites) < wanted.sites:
                sites.add(witness.site)

    def join(self, other: Breadth) -> None:
        """Counts the other's witnesses too."""
        self._tokens |= other._tokens
        self._users |= other._users
        self._records |= other._records
        self._sites |= other._sites

    def clear(self) -> None:
        """Forgets all."""
        for seen in (self._tokens, self._users, self._records, self._sites):
            seen.clear()

    @property
    def of_many_users(self) -> bool:
        """What failures of a provider need: without an answer about tokens there is nothing to count tokens by."""
        return len(self._users) >= self._wanted.users and self._of_many_sites

    @property
    def of_many(self) -> bool:
        """What a word about tokens, or about a project of ours, needs."""
        return (
            self.of_many_users
            and len(self._tokens) >= self._wanted.tokens
            and len(self._records) >= self._wanted.records
        )

    @property
    def _of_many_sites(self) -> bool:
        return self._sites == {""} or len(self._sites) >= self._wanted.sites
