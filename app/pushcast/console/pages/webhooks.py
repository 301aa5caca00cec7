"""`/webhooks`: how far each endpoint is, and what it takes to go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pushcast.console.desk import Desk
from pushcast.console.figures import ProcessFigures
from pushcast.console.visit import Away, Deed, View, Visit
from pushcast.console.words import when
from pushcast.wire.control.control import WebhookOrder
from pushcast.wire.times import rfc3339

HERE: Final = "/webhooks"
#: A choice of the form, in milliseconds back.
BACK_MS: Final = {"10m": 600_000, "1h": 3_600_000, "1d": 86_400_000}


class Cursor(NamedTuple):
    """Of an endpoint, over all reporters. `age`: seconds that the oldest event waits. `tries`: by result, since the
    reporters' start."""

    lag: float
    age: float
    tries: Mapping[str, float]


async def show(desk: Desk, visit: Visit) -> View:
    """GET /webhooks."""
    found = await desk.api.ask("webhooks", visit.caller)
    rows = [each | {"cursor": cursor_of(each["name"], desk.watch.figures.values())} for each in found["webhooks"]]
    return View("webhooks.html", {"webhooks": rows})


async def resume(desk: Desk, visit: Visit) -> Away:
    """POST /webhooks/resume: from where it stopped, or a while before now."""
    name, back = visit.form.get("name", ""), visit.form.get("back", "")
    query = {"from": rfc3339(visit.now_ms - BACK_MS[back])} if back in BACK_MS else {}
    before = stands(desk.control.webhooks.get(name), visit.now_ms)
    await desk.api.ask("resume_webhook", visit.caller, path={"name": name}, query=query)
    return Away(HERE, Deed(name, before, f"on, once more from {query['from']}" if query else "on"))


def stands(order: WebhookOrder | None, now_ms: int) -> str:
    """Whether an endpoint is posted to, as its last order says."""
    if order is None or order.state == "on":
        return "on"
    since = f"disabled since {when(order.at_ms, now_ms)}"
    return f"{since}: {order.reason}" if order.reason else since


def cursor_of(name: str, processes: Iterable[ProcessFigures]) -> Cursor | None:
    """None: no process that is known here posts to it."""
    mine = [each.webhooks[name] for each in processes if name in each.webhooks]
    if not mine:
        return None
    tries: Counter[str] = Counter()
    for each in mine:
        tries.update(each.tries)
    return Cursor(sum(each.lag for each in mine), max(each.age for each in mine), _sorted(tries))


def _sorted(tries: Mapping[str, Any]) -> dict[str, float]:
    return {result: count for result, count in sorted(tries.items(), key=lambda item: -item[1]) if count}
