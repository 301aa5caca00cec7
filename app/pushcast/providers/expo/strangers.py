"""Tokens of foreign projects, told from a refused credential. Pure.

Expo answers both alike (401, 403) when such a token is alone in its request. The credential is cleared by what it is
served later: a token that is refused again after that was never ours.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import Final

MAX_TOKENS: Final = 10_000


class Strangers:
    """Of one access token. Times are monotonic seconds. The refusals longest ago are forgotten beyond 10,000."""

    def __init__(self) -> None:
        self._refused_at: OrderedDict[bytes, float] = OrderedDict()
        self._served_at = -inf

    def served(self, tokens: list[bytes], sent_at: float) -> None:
        """Expo accepted these tokens in a request sent at `sent_at`."""
        self._served_at = max(self._served_at, sent_at)
        if self._refused_at:
            for token in tokens:
                self._refused_at.pop(token, None)

    def served_since(self, at: float) -> bool:
        """Whether a request that left then or later had tickets."""
        return self._served_at >= at

    def refused(self, token: bytes, now: float) -> bool:
        """A request for this token's project was refused. True when the credential was served since it first was."""
        first = self._refused_at.setdefault(token, now)
        if self._served_at > first:
            del self._refused_at[token]
            return True
        if len(self._refused_at) > MAX_TOKENS:
            self._refused_at.popitem(last=False)
        return False
