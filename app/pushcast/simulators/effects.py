"""What a rule makes a simulator do, and which requests it meets: pure, with the randomness passed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, Final

from pushcast.http2 import frames as f
from pushcast.simulators.values import fields, flag, number, optional, status, text, whole

_ERROR_CODES: Final = {name: code for code, name in f.ERROR_NAMES.items()}
_KINDS: Final = "ok, status, reason, empty, html, latency, never, reset, partial, drop, goaway, fail"
# Tokens whose failures are counted; beyond it the oldest start over.
_MAX_COUNTED_TOKENS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Effect:
    """`kind` decides which of the other fields matter.

    ok: accepted without checks. status: an error answer, `reason` picks the provider's word for it. empty: a status
    without a body. html: a status with an HTML body, as edges send. latency: waits, then goes on. never: no answer.
    reset: RST_STREAM. partial: half an answer, then RST_STREAM. drop: the TCP connection is cut. goaway: a graceful
    GOAWAY behind this request. fail: the first `count` requests of a token get `status`.
    """

    kind: str
    status: int = 0
    reason: str = ""
    delay_seconds: float = 0.0
    count: int = 0
    error_code: int = 0
    retry_after: str | None = None
    timestamp_ms: int | None = None
    split: bool = False

    @classmethod
    def parse(cls, text: str) -> Effect:
        """`ok`, `status:503[:Reason]`, `reason:Unregistered`, `empty:503`, `html:502`, `latency:500` (ms), `never`,
        `reset:REFUSED_STREAM`, `partial:INTERNAL_ERROR`, `drop`, `goaway`, `fail:3[:503]`. Raises ValueError."""
        kind, _, rest = text.partition(":")
        first, _, second = rest.partition(":")
        try:
            if kind in {"ok", "never", "drop", "goaway"} and not rest:
                return cls(kind)
            if kind in {"status", "empty", "html"}:
                return cls(kind, status=status(kind, int(first)), reason=second)
            if kind == "reason" and first:
                return cls("status", reason=first)
            if kind == "latency":
                return cls(kind, delay_seconds=number(kind, float(first)) / 1000)
            if kind in {"reset", "partial"}:
                code = _ERROR_CODES.get(first or "INTERNAL_ERROR")
                return cls(kind, error_code=whole(kind, int(first), most=2**32 - 1) if code is None else code)
            if kind == "fail":
                return cls(kind, count=whole(kind, int(first)), status=status(kind, int(second or 503)))
        except ValueError:
            pass
        raise ValueError(f"effect {text!r} is not one of: {_KINDS} (see docs: status:503, latency:500, reset:CANCEL)")


_RULE: Final = ("match", "effect", "times", "probability", "retry_after", "timestamp_ms", "split")
_MATCH: Final = ("provider", "token", "prefix", "topic", "project", "app", "nth")


@dataclass(slots=True)
class Rule:
    """Meets a request when every given matcher does; `times` and `probability` thin it out."""

    effect: Effect
    token: bytes | None = None
    prefix: bytes | None = None
    app: str | None = None
    platform: str | None = None  # of a simulator; the others leave the rule out
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    seen: int = field(default=0)
    applied: int = field(default=0)

    @classmethod
    def parse(cls, value: dict[str, Any]) -> Rule:
        """From `{match: {provider, token, prefix, topic|project|app, nth}, effect, times, probability, retry_after,
        timestamp_ms, split}`. Raises ValueError."""
        value = fields("rule", value, _RULE)
        match = fields("rule.match", value.get("match") or {}, _MATCH)
        effect = replace(
            Effect.parse(str(value.get("effect"))),
            retry_after=None if value.get("retry_after") is None else str(value["retry_after"]),
            timestamp_ms=optional(partial(whole, most=2**63))("rule.timestamp_ms", value.get("timestamp_ms")),
            split=flag("rule.split", value.get("split", False)),
        )
        matched = {name: optional(text)(f"rule.match.{name}", match.get(name)) for name in _MATCH[:-1]}
        return cls(
            effect,
            token=_bytes(matched["token"]),
            prefix=_bytes(matched["prefix"]),
            app=matched["topic"] or matched["project"] or matched["app"],
            platform=matched["provider"],
            nth=optional(whole)("rule.match.nth", match.get("nth")),
            times=optional(whole)("rule.times", value.get("times")),
            probability=number("rule.probability", value.get("probability", 1.0), most=1.0),
        )

    def meets(self, token: bytes, app: str, random: Random) -> bool:
        if self.times is not None and self.applied >= self.times:
            return False
        if self.token is not None and token != self.token:
            return False
        if self.prefix is not None and not token.startswith(self.prefix):
            return False
        if self.app is not None and app != self.app:
            return False
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        if self.probability < 1.0 and random.random() >= self.probability:
            return False
        self.applied += 1
        return True


class RuleBook:
    """The rules in order; the first that meets a request decides. Counts failures per token for `fail`."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures: OrderedDict[bytes, int] = OrderedDict()
        self.rules: list[Rule] = []

    def replace(self, rules: Iterable[Rule]) -> None:
        self.rules = list(rules)

    def find(self, token: bytes, app: str) -> Effect | None:
        for rule in self.rules:
            if rule.meets(token, app, self._random):
                return rule.effect
        return None

    def still_fails(self, token: bytes, count: int) -> bool:
        """Counts one more request of the token; True for its first `count`."""
        seen = self._failures.pop(token, 0) + 1
        self._failures[token] = seen
        if len(self._failures) > _MAX_COUNTED_TOKENS:
            self._failures.popitem(last=False)
        return seen <= count

    def reset(self) -> None:
        self.rules = []
        self._failures.clear()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else value.encode()
