"""Who asks, and what the key lets them do. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal, NamedTuple

import msgspec

from pushcast.gateway.keyring import ApiKeyring
from pushcast.gateway.limits import WINDOW_SECONDS, QuotaStanding, QuotaWindow, Windows
from pushcast.gateway.problems import Problem
from pushcast.model.words import Lane
from pushcast.wire.control.api_keys import ApiKey, Presented, Scope, parse_app_key, parse_key
from pushcast.wire.control.quota_leases import NOTIFICATIONS, REQUESTS, LeaseAsk, QuotaGrant

#: RFC 6750 section 3
CHALLENGE: Final = 'Bearer realm="pushcast"'
APP_HEADER: Final = "Pushcast-App"
#: Wrong keys and refused tokens of one address within a minute; more are refused without a look at them.
WRONG_KEYS_PER_MINUTE: Final = 60
MAX_RIGHT_KEYS: Final = 10_000
PolicyName = Literal["requests", "notifications"]


class Caller(NamedTuple):
    """A key that is valid."""

    id: str
    key: ApiKey

    def may(self, scope: Scope) -> None:
        """Raises Problem (scope_missing)."""
        if scope not in self.key.scopes:
            raise Problem("scope_missing", f"the key needs the scope {scope}")

    def may_app(self, app: str | None) -> None:
        """`app` None: every app of the user. Raises Problem (app_not_allowed)."""
        if self.key.apps is not None and app not in self.key.apps:
            wanted = "every app of the user" if app is None else f"app {app[:64]}"
            raise Problem("app_not_allowed", f"the key is not for {wanted}; name one of its apps in `app`")

    def may_send(self, app: str | None, klass: str, lane: Lane) -> None:
        """Raises Problem (app_not_allowed, class_not_allowed, lane_not_allowed)."""
        self.may_app(app)
        if self.key.classes is not None and klass not in self.key.classes:
            raise Problem("class_not_allowed", f"the key is not for class {klass[:64]}")
        if self.key.lanes is not None and lane not in self.key.lanes:
            raise Problem("lane_not_allowed", f"the key is not for lane {lane}, which class {klass[:64]} has")


class Door:
    """Lets callers in, and counts what they ask for."""

    def __init__(self, keyring: ApiKeyring, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._keyring = keyring
        self._monotonic = monotonic
        self._requests = Windows()
        self._notifications = Windows()
        self._wrong = Windows()
        self._right: dict[bytes, Presented] = {}  # keys by their digests: read once, verified each time
        self.limited = {REQUESTS: 0, NOTIFICATIONS: 0, "address": 0}  # refusals by policy

    def identify(self, authorization: str | None, address: str, now_ms: int, now_seconds: float) -> Caller:
        """Raises Problem: no_key, key_refused, or quota_exceeded for an address that tries wrong keys."""
        if authorization is None:
            self.count_wrong(address, now_seconds)
            raise Problem("no_key", "the header Authorization is missing", headers={"WWW-Authenticate": CHALLENGE})
        scheme, _, token = authorization.partition(" ")
        return self.enter(token.strip() if scheme.lower() == "bearer" else "", address, now_ms, now_seconds)[0]

    def enter(self, key: str, address: str, now_ms: int, now_seconds: float) -> tuple[Caller, Presented]:
        """Who has this key. Raises Problem (key_refused), or quota_exceeded for an address that tries wrong keys."""
        name = sha256(key.encode("utf-8", "surrogateescape")).digest()
        presented = self._right.get(name) or parse_key(key)
        caller = None if presented is None else self.known(presented, now_ms)
        if presented is not None and caller is not None:
            if len(self._right) >= MAX_RIGHT_KEYS:
                self._right.clear()
            self._right[name] = presented
            return caller, presented
        self.count_wrong(address, now_seconds)
        detail = "the key is unknown, disabled or expired"
        raise Problem("key_refused", detail, headers={"WWW-Authenticate": CHALLENGE})

    def known(self, presented: Presented, now_ms: int) -> Caller | None:
        """Whose key it is, as long as it is valid."""
        record = self._keyring.find(presented, now_ms)
        return None if record is None else Caller(presented.id, record)

    def trusted(self, key_id: str, person: str) -> Caller | None:
        """Somebody whom another has identified, with the rights of a key that is not disabled."""
        record = self._keyring.record(key_id)
        if record is None or record.disabled or record.kind != "server":
            return None
        return Caller(key_id, msgspec.structs.replace(record, label=person))

    def app_of(self, header: str | None, address: str, now_seconds: float) -> tuple[Caller, str]:
        """Who an app says it is: (its public key, the app). Raises Problem as `identify`."""
        parsed = None if header is None else parse_app_key(header.strip())
        record = None if parsed is None else self._keyring.app_of(*parsed)
        if parsed is not None and record is not None:
            return Caller(parsed[1], record), parsed[0]
        self.count_wrong(address, now_seconds)
        if header is None:
            raise Problem("no_key", f"the header {APP_HEADER} is missing", headers={"WWW-Authenticate": CHALLENGE})
        raise Problem("key_refused", "the key is unknown or disabled", headers={"WWW-Authenticate": CHALLENGE})

    def count_wrong(self, address: str, now_seconds: float) -> None:
        """It is about to be answered 401. Raises Problem (quota_exceeded) where that happened too often."""
        wrong = self._wrong.of(address, WRONG_KEYS_PER_MINUTE)
        standing = wrong.standing(now_seconds)
        if not standing.remaining:
            self.limited["address"] += 1
            raise exceeded("address", standing)
        wrong.take(1, now_seconds)

    def admit(self, caller: Caller, notifications: int, now_seconds: float, requests: int = 1) -> dict[str, str]:
        """Counts a request with so many notifications; returns the headers that tell what is left. `requests` 0: it is
        counted, and has more of them.

        Raises Problem (quota_exceeded); nothing is counted then.
        """
        standings: list[tuple[str, int, QuotaStanding]] = []
        windows: list[QuotaWindow] = []
        for name, amount, quota in quotas_of(caller, notifications, requests):
            window = self._window(caller.id, name, quota)
            standing = window.standing(now_seconds)
            if amount > standing.remaining:
                self.limited[name] += 1
                raise exceeded(name, standing)
            windows.append(window)
            standings.append((name, amount, standing))
        for window, (_, amount, _) in zip(windows, standings, strict=True):
            window.take(amount, now_seconds)
        return told(standings)

    def at_once(self, caller: Caller, notifications: int, now_seconds: float, requests: int = 1) -> bool:
        """Whether `admit` can say at once whether there is room: here, always."""
        return True

    async def admitted(
        self, caller: Caller, notifications: int, now_seconds: float, requests: int = 1
    ) -> dict[str, str]:
        """As `admit`."""
        return self.admit(caller, notifications, now_seconds, requests)

    def lease(self, ask: LeaseAsk) -> list[QuotaGrant]:
        """What another gateway gets of a key's quotas, which are counted here."""
        now, grants = self._monotonic(), []
        for each in ask.quotas:
            window = self._window(ask.key, each.policy, each.quota)
            granted, standing = window.lease(ask.gateway, each.used, each.wanted, now)
            grants.append(QuotaGrant(granted, standing.remaining, standing.reset_seconds))
        return grants

    def _window(self, key_id: str, policy: str, quota: int) -> QuotaWindow:
        return (self._requests if policy == REQUESTS else self._notifications).of(key_id, quota)


def quotas_of(caller: Caller, notifications: int, requests: int = 1) -> list[tuple[PolicyName, int, int]]:
    """What a request with so many notifications takes of which quota: (policy, amount, quota)."""
    limits = caller.key.limits
    if not notifications:
        return [(REQUESTS, requests, limits.requests_per_minute)]
    more: tuple[PolicyName, int, int] = NOTIFICATIONS, notifications, limits.notifications_per_minute
    return [(REQUESTS, requests, limits.requests_per_minute), more]


def told(asked: Sequence[tuple[str, int, QuotaStanding]]) -> dict[str, str]:
    """The headers that tell what is left: of (policy, amount, standing before it)."""
    left, quotas = [], []
    for name, amount, (quota, remaining, reset_seconds) in asked:
        left.append(f'"{name}";r={remaining - amount};t={reset_seconds or WINDOW_SECONDS}')
        quotas.append((name, quota))
    return {"RateLimit-Policy": _policies(tuple(quotas)), "RateLimit": ", ".join(left)}


@lru_cache(maxsize=1000)
def _policies(quotas: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f'"{name}";q={quota};w={WINDOW_SECONDS}' for name, quota in quotas)


def exceeded(policy: str, standing: QuotaStanding) -> Problem:
    """There is no room in this quota."""
    wait = max(1, standing.reset_seconds)
    return Problem(
        "quota_exceeded",
        f"{policy}: {standing.quota} within 60 seconds, {standing.remaining} are left",
        headers={"Retry-After": str(wait), "RateLimit": f'"{policy}";r={standing.remaining};t={wait}'},
        more={"violated-policies": [policy]},
    )
