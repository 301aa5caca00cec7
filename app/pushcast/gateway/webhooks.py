"""`/v1/webhooks`: endpoints that are told what became of deliveries, as `pushcast webhook list` and `resume`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pushcast.config.doors import Webhook
from pushcast.gateway.access import Caller
from pushcast.gateway.http import Answer, Request, answer
from pushcast.gateway.problems import Problem, refused
from pushcast.gateway.writing import Writer
from pushcast.model.errors import InvalidInput
from pushcast.wire import topics
from pushcast.wire.control.control import Kind, Name, WebhookOrder, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.times import rfc3339, to_ms

_PARTITION: Final = 0


class WebhookCalls:
    """Endpoints of the configuration. They get events of all apps, unless it says otherwise: a key that is for some
    apps may not see them. `state` follows push.control.v1."""

    def __init__(self, wanted: Mapping[str, Webhook], state: ControlState, writer: Writer) -> None:
        self._wanted = wanted
        self._state = state
        self._writer = writer

    def change(self, wanted: Mapping[str, Webhook]) -> None:
        """Those of the configuration from now on."""
        self._wanted = wanted

    async def list(self, _: Request, caller: Caller) -> Answer:
        """GET /v1/webhooks."""
        caller.may_app(None)
        return answer(200, {"webhooks": [self._row(name) for name in sorted(self._wanted)]})

    async def resume(self, request: Request, caller: Caller) -> Answer:
        """POST /v1/webhooks/{name}/resume[?from=]: from where it stopped, or once more what was recorded since then."""
        caller.may_app(None)
        name = request.path["name"]
        if name not in self._wanted:
            raise Problem("not_found", f"there is no webhook {name[:64]} in the configuration")
        text = request.query.get("from")
        try:
            from_ms = None if text is None else to_ms(text, "from", 0)
        except InvalidInput as error:
            raise refused(error) from None
        order = WebhookOrder("on", request.now_ms, from_ms, "", f"key {caller.id}")
        self._writer.check()
        put = self._writer.put_at(topics.CONTROL, _PARTITION, Name(Kind.WEBHOOK, name).key(), encode(order))
        await self._writer.confirmed(put)
        return answer(200, {"name": name, "state": "on", "from": None if from_ms is None else rfc3339(from_ms)})

    def _row(self, name: str) -> dict[str, Any]:
        wanted, order = self._wanted[name], self._state.webhooks.get(name)
        disabled = order is not None and order.state == "disabled"
        return {
            "name": name,
            "host": urlsplit(wanted.url).hostname,  # the rest may hold a secret
            "events": list(wanted.events),
            "state": "disabled" if disabled else "on",
            "since": None if order is None else rfc3339(order.at_ms),
            "reason": None if order is None else order.reason or None,
        }
