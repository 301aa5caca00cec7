"""`/v1/users/{user}/preferences[/{app}]`, `/v1/me/preferences`: what users have chosen."""

from __future__ import annotations

from typing import Any, Final

from pushcast.gateway.access import Caller
from pushcast.gateway.bulk import require_type
from pushcast.gateway.events import Decode, checked_user, decoded, plain_event, read_object
from pushcast.gateway.http import JSON, Answer, Request, answer
from pushcast.gateway.problems import FieldError, Problem
from pushcast.gateway.questions import Questions, Sources
from pushcast.gateway.writing import Writer
from pushcast.model.device import Operation
from pushcast.wire import topics

_OF_THE_PATH: Final = ("user", "app", "op")


class Preferences:
    """Replaces choices whole, and tells them as registrars have written them. The decoder is REGISTER's own."""

    def __init__(self, decode: Decode, writer: Writer, questions: Questions, sources: Sources) -> None:
        self._decode = decode
        self._writer = writer
        self._questions = questions
        self._sources = sources

    async def put(self, request: Request, caller: Caller) -> Answer:
        """PUT: of one app, or of all apps. What the body does not name is not chosen any more."""
        require_type(request, JSON)
        user, app = checked_user(request.path["user"]), request.path.get("app")
        caller.may_app(app)
        body = read_object(request.body)
        said = {"user": user, "op": str(Operation.PREFER)} | ({} if app is None else {"app": app})
        for name in _OF_THE_PATH:
            if name in body and body[name] != said.get(name):
                detail = f"{name} differs from the path"
                raise Problem("invalid_field", detail, errors=[FieldError(f"#/{name}", "invalid_field", detail)])
        event = plain_event(user, "", body | said)
        decoded(self._decode, event, request.now_ms)
        self._writer.check()
        written = await self._writer.confirmed(self._writer.put(topics.DEVICE_CHANGED, user, event.value))
        return answer(202, {"user": user, "app": app, "record": written.record})

    async def show(self, request: Request, caller: Caller) -> Answer:
        """GET: `everywhere` for all apps, `apps` by app; of one app where the path or the key's app names it."""
        user, app = checked_user(request.path["user"]), request.path.get("app")
        caller.may_app(app)
        found: dict[str, dict[str, Any]] = await self._questions.ask(self._sources.preferences, user)
        apps = {name: row for name, row in found.items() if name and app in (None, name)}
        return answer(200, {"user": user, "everywhere": found.get("", {}), "apps": apps})
