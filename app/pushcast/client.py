"""A client of the gateway's HTTP API for Python programs. It needs httpx alone; other languages generate one from
`/openapi.json`.

    with Client("https://push.example", key) as push:
        sent = push.send("user-42", app="news", title="Goal!")
        print(sent["record"], push.report(sent["id"], after=sent["record"])["state"])
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

#: Longer than the gateway waits for Kafka (`gateway.ack_seconds`).
TIMEOUT_SECONDS: Final = 15.0
#: What may be asked again: a quota is used up, or Kafka has not confirmed it in time.
AGAIN: Final = frozenset({429, 503})
LONGEST_PAUSE_SECONDS: Final = 30.0

Json = dict[str, Any]


class Refused(Exception):
    """The gateway said no: asking again would not help. `problem`: its words, as RFC 9457 has them."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('detail') or problem.get('title') or 'refused'}")
        self.status = status
        self.problem = dict(problem)


class Unavailable(Exception):
    """Not confirmed in all attempts. It may have been written: send it again with the same id."""


class Client:
    """Calls of one gateway with one key. Not for several threads at once; close it.

    What is written gets an id when it has none, so that every attempt is the same notification. Calls raise Refused,
    and Unavailable after `attempts` answers of 429 or 503, or none at all.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        attempts: int = 5,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._attempts = attempts
        self._sleep = sleep
        self._jitter = jitter
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends its connections."""
        self._http.close()

    def send(self, user: str, **fields: Any) -> Json:
        """One notification: `id`, `record` (its place in Kafka), `lane`, `expires_at`, `replayed`."""
        return self._ask("POST", "/v1/notifications", body=_with_id({**fields, "user": user}))

    def send_many(self, notifications: Iterable[Mapping[str, Any]]) -> Json:
        """At most 1,000, each with its `user`: `accepted`, `rejected`, `unknown`, and `results` of the others."""
        return self._ask("POST", "/v1/notifications/bulk", body={"notifications": list(map(_with_id, notifications))})

    def cancel(self, notification: str, user: str, *, remove: bool = False) -> Json:
        """Ends what has not left; `remove`: takes it off the screens as well."""
        path = f"/v1/notifications/{quote(notification, safe='')}"
        return self._ask("DELETE", path, {"user": user, **({"remove": "true"} if remove else {})})

    def broadcast(self, **fields: Any) -> Json:
        """One event for an audience."""
        return self._ask("POST", "/v1/broadcasts", body=_with_id(fields))

    def register(self, user: str, app: str, device: str, **fields: Any) -> Json:
        """A device of the user, or what changed of it: `platform`, `token` or `subscription`, `locale`, `topics`, …"""
        return self._ask("PUT", _device(user, app, device), body=fields)

    def unregister(self, user: str, app: str, device: str) -> Json:
        """The user has logged out there."""
        return self._ask("DELETE", _device(user, app, device))

    def report(self, notification: str, **query: str) -> Json:
        """What became of a notification or broadcast; `user` for one whose class keeps no report of its own. `after`:
        the `record` of what was just sent, to wait up to 2 seconds until it is planned. Refused (404) before that.
        """
        return self._ask("GET", f"/v1/reports/{quote(notification, safe='')}", query)

    def why(self, user: str, notification: str) -> Json:
        """Why a push did or did not arrive."""
        return self._ask("GET", f"/v1/users/{quote(user, safe='')}/why", {"notification": notification})

    def _ask(self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None) -> Json:
        said = "no answer"
        for attempt in range(self._attempts):
            pause = min(2.0**attempt, LONGEST_PAUSE_SECONDS) * (0.5 + self._jitter() / 2)
            try:
                answer = self._http.request(method, path, params=query, json=body)
            except httpx.TransportError as error:
                said = type(error).__name__
            else:
                found = _json(answer)
                if answer.is_success:
                    return found
                if answer.status_code not in AGAIN:
                    raise Refused(answer.status_code, found)
                said = f"{answer.status_code} {found.get('detail', '')}".strip()
                pause = max(pause, min(_seconds(answer.headers.get("Retry-After")), LONGEST_PAUSE_SECONDS))
            if attempt + 1 < self._attempts:
                self._sleep(pause)
        raise Unavailable(f"{method} {path}: {said} after {self._attempts} attempts")


def _with_id(fields: Mapping[str, Any]) -> Json:
    # `id=None` is as none: the gateway would make another id at each attempt, and a repeat would be another push.
    return {**fields, "id": str(uuid4())} if fields.get("id") is None else dict(fields)


def _device(user: str, app: str, device: str) -> str:
    return "/v1/users/{}/devices/{}/{}".format(*(quote(each, safe="") for each in (user, app, device)))


def _json(answer: httpx.Response) -> Json:
    try:
        found = answer.json()
    except ValueError:  # of something between here and the gateway
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() else 0.0
