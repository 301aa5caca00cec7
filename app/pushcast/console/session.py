"""Who is signed in: a cookie that proves itself, and the token that every form carries. Pure; time is passed in.

The cookie names the API key and the SHA-256 of its secret. The key is looked up again at each request, so one that was
disabled, has expired or was rotated away opens nothing from then on, in every console process.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final, NamedTuple

from pushcast.gateway.access import Caller
from pushcast.wire.control.api_keys import Presented

#: What the two MACs are for: one must not stand for the other.
_COOKIE: Final = b"cookie\0"
_FORM: Final = b"form\0"
_PERSON: Final = b"person\0"
MAX_COOKIE_CHARS: Final = 256


class Session(NamedTuple):
    """A cookie that is genuine and has not expired, or a person whom a proxy has signed in.

    `token`: what the session's forms carry. `person`: the name that the proxy gave; empty with a cookie.
    """

    presented: Presented
    token: str
    person: str = ""


class SignedIn(NamedTuple):
    """Somebody who is signed in, and the key as it is at this request."""

    session: Session
    caller: Caller


class Sessions:
    """`secret`: shared by all consoles behind one address. `seconds`: how long somebody stays signed in."""

    def __init__(self, secret: bytes, seconds: float) -> None:
        self._secret = secret
        self.seconds = seconds

    def cookie(self, presented: Presented, now_ms: int) -> str:
        """For somebody whose key was just accepted."""
        body = f"{presented.id}.{presented.digest}.{now_ms + round(self.seconds * 1000)}"
        return f"{body}.{self._mac(_COOKIE, body)}"

    def read(self, cookie: str | None, now_ms: int) -> Session | None:
        """None: there is none, it is not ours, or its time is over."""
        if cookie is None or len(cookie) > MAX_COOKIE_CHARS or not cookie.isascii():
            return None
        body, _, mac = cookie.rpartition(".")
        if not hmac.compare_digest(mac, self._mac(_COOKIE, body)):
            return None
        key_id, digest, until_ms = body.split(".")
        if now_ms >= int(until_ms):
            return None
        return Session(Presented(key_id, digest), self._mac(_FORM, cookie))

    def of_person(self, person: str, key_id: str) -> Session:
        """Of somebody whom a proxy has signed in, with the rights of a key."""
        return Session(Presented(key_id, ""), self._mac(_PERSON, person), person)

    def _mac(self, purpose: bytes, text: str) -> str:
        return hmac.new(self._secret, purpose + text.encode(), sha256).hexdigest()


def is_token(session: Session, token: str) -> bool:
    """Whether a form carries the token of this session. Takes the same time for all."""
    return hmac.compare_digest(session.token.encode(), token.encode("utf-8", "replace"))
