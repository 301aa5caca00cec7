"""`/v1/campaigns/{name}/cancel`: everything of a campaign leaves no more, as `pushcast cancel --campaign`."""

from __future__ import annotations

from typing import Any, Final

from pushcast.gateway.access import Caller
from pushcast.gateway.events import read_object
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import FieldError, Problem, refused
from pushcast.gateway.writing import Writer
from pushcast.model.errors import InvalidInput
from pushcast.wire import topics
from pushcast.wire.control.control import MAX_TEXT_CHARS, CampaignCancel, Kind, Name, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.keys import check_id

_PARTITION: Final = 0
_FIELDS: Final = ("comment", "remove")


class CampaignCalls:
    """Writes `push.control.v1`. A campaign may have notifications of any app: a key that is for some apps may not."""

    def __init__(self, writer: Writer, state: ControlState) -> None:
        """`state` follows the topic."""
        self._writer = writer
        self._state = state

    async def cancel(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/campaigns/{name}/cancel: what has not left ends as `cancelled`, also what comes later."""
        caller.may_app(None)
        body = read_object(request.body) if request.body.strip() else {}
        for name in body:
            if name not in _FIELDS:
                raise _wrong(name, "unknown_field", f"there are {' and '.join(_FIELDS)}")
        comment, remove = body.get("comment", ""), body.get("remove", False)
        if not isinstance(comment, str) or len(comment) > MAX_TEXT_CHARS:
            raise _wrong("comment", "invalid_field", f"comment is a text of at most {MAX_TEXT_CHARS} characters")
        if not isinstance(remove, bool):
            raise _wrong("remove", "invalid_field", "remove is true or false")
        entry = CampaignCancel(remove=remove, by=f"key {caller.id}", comment=comment)
        return await self._write(request, encode(entry), cancelled=True)

    async def resume(self, request: Request, caller: Caller) -> Answer:
        """DELETE /v1/campaigns/{name}/cancel: what comes of it from now on leaves again."""
        caller.may_app(None)
        return await self._write(request, None, cancelled=False)

    async def _write(self, request: Request, value: bytes | None, **told: Any) -> Answer:
        try:
            name = Name(Kind.CANCEL, check_id(request.path["name"], "name"))
            if value is not None:
                self._state.check_room(name)
        except InvalidInput as error:
            raise refused(error) from None
        self._writer.check()
        await self._writer.confirmed(self._writer.put_at(topics.CONTROL, _PARTITION, name.key(), value))
        return answer(202, {"campaign": name.name, **told})


def _wrong(name: str, code: str, detail: str) -> Problem:
    return Problem(code, detail, errors=[FieldError(f"#/{name}", code, detail)])
