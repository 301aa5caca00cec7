"""`/people`: a user's devices and deliveries, and why a push did or did not arrive."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from pushcast.config.doors import TRACE
from pushcast.console.desk import Desk
from pushcast.console.timeline import SPANS, timeline
from pushcast.console.visit import Away, Deed, View, Visit
from pushcast.gateway.problems import Problem


async def show(desk: Desk, visit: Visit) -> View:
    """GET /people?user=U[&notification=ID][&device=D][&cursor=][&span=hour|day|week|month]."""
    asked = {name: visit.query.get(name, "").strip() for name in ("user", "notification", "device")}
    user, note = asked["user"], asked["notification"]
    context: dict[str, Any] = {
        "asked": asked,
        "devices": None,
        "history": None,
        "why": None,
        "timers": None,
        "timeline": None,
        "spans": list(SPANS),
        "problems": [],
        "trace_link": partial(_trace_link, desk.trace_url),
    }
    if not user:
        return View("person.html", context)
    at_user = {"user": user}
    devices, history, timers, why = await asyncio.gather(
        _tried(context, desk.api.ask("devices", visit.caller, path=at_user)),
        _tried(context, desk.api.ask("deliveries", visit.caller, path=at_user, query=_page(visit))),
        _tried(context, desk.api.ask("scheduled", visit.caller, path=at_user)),
        _tried(context, desk.api.ask("why", visit.caller, path=at_user, query=_why(asked))) if note else _nothing(),
    )
    found = {
        "devices": None if devices is None else devices["devices"],
        "history": history,
        "timers": None if timers is None else [each for each in timers["timers"] if each["released_at"] is None],
        "why": None if why is None else {**why, "evidence": sorted(why["evidence"], key=_at)},
    }
    told = (found["devices"] or [], history["deliveries"] if history else [], found["timers"] or [])
    axis = timeline(*told, visit.now_ms, visit.query.get("span", ""))
    return View("person.html", {**context, **found, "timeline": axis})


async def by_name(_: Desk, visit: Visit) -> Away:
    """GET /people/{user}: as programs and people write it; the page's own form asks."""
    return Away(f"/people?{urlencode({'user': visit.path['user']})}")


async def cancel(desk: Desk, visit: Visit) -> Away:
    """POST /people/cancel: a notification that waits for its time leaves no more."""
    user, note = (visit.form.get(name, "") for name in ("user", "notification"))
    await desk.api.ask("cancel_scheduled_one", visit.caller, path={"user": user, "id": note})
    deed = Deed(f"notification {note}", "waits for its time", "cancelled")
    return Away(f"/people?{urlencode({'user': user, 'notification': note})}", deed)


def _trace_link(url: str | None, trace: str) -> str | None:
    return None if url is None else url.replace(TRACE, quote(trace, safe=""))


def _at(evidence: dict[str, Any]) -> str:
    return evidence["at"] or ""


async def _tried(context: dict[str, Any], question: Any) -> Any:
    """The answer; a problem is put on the page, which shows what else is known."""
    try:
        return await question
    except Problem as problem:
        context["problems"].append(problem)
        return None


async def _nothing() -> None:
    return None


def _page(visit: Visit) -> dict[str, str]:
    return {"limit": "50", **({"cursor": visit.query["cursor"]} if visit.query.get("cursor") else {})}


def _why(asked: dict[str, str]) -> dict[str, str]:
    return {"notification": asked["notification"], **({"device": asked["device"]} if asked["device"] else {})}
