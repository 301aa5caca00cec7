"""`/v1/dead-letters`: what no retry can mend, and its way back to where it came from."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from pushcast.gateway.access import Caller
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem, refused
from pushcast.gateway.questions import Questions, Sources
from pushcast.model.errors import InvalidInput
from pushcast.wire.json_errors import UNREADABLE, from_msgspec
from pushcast.wire.times import to_ms

_Names = Annotated[frozenset[Annotated[str, msgspec.Meta(min_length=1, max_length=256)]], msgspec.Meta(max_length=100)]


class Redrive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which letters go back; empty sets let all pass. `execute` false: they are counted.

    `in_doubt`: also what may have arrived. `since`, `until`: of the first sight, RFC 3339 or milliseconds.
    """

    execute: bool = False
    topics: _Names = frozenset()
    reasons: _Names = frozenset()
    apps: _Names = frozenset()
    users: _Names = frozenset()
    notifications: _Names = frozenset()
    since: int | str | None = None
    until: int | str | None = None
    in_doubt: bool = False


_BODY = msgspec.json.Decoder(Redrive)


class DeadLetterCalls:
    """Letters of all apps: a key that is for some may not see them."""

    def __init__(self, questions: Questions, sources: Sources) -> None:
        self._questions = questions
        self._sources = sources

    async def list(self, request: Request, caller: Caller) -> Answer:
        """GET /v1/dead-letters?limit=."""
        caller.may_app(None)
        text = request.query.get("limit", "50")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 500:
            raise Problem("bad_request", "limit is a number from 1 to 500")
        return answer(200, {"letters": await self._questions.ask(self._sources.letters, int(text))})

    async def redrive(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/dead-letters/redrive: one at a time of a process. It goes on when the client goes away."""
        caller.may_app(None)
        try:
            wanted = _BODY.decode(request.body or b"{}")
            bounds = _time(wanted.since, "since"), _time(wanted.until, "until")
        except UNREADABLE as error:
            raise refused(from_msgspec(error, request.body)) from None
        except InvalidInput as error:
            raise refused(error) from None
        done: dict[str, Any] = await self._questions.alone(self._sources.redrive, wanted, *bounds)
        return answer(200, {"executed": wanted.execute, **done})


def _time(value: int | str | None, name: str) -> int | None:
    return None if value is None else to_ms(value, name, 0)
