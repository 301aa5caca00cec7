"""`/control`: pauses, breakers, and broadcasts that are stopped or held."""

from __future__ import annotations

from typing import Any, Final

from pushcast.console.desk import Desk
from pushcast.console.visit import Away, View, Visit
from pushcast.gateway.problems import Problem

HERE: Final = "/control"


async def show(desk: Desk, visit: Visit) -> View:
    """GET /control."""
    found = await desk.api.ask("pauses", visit.caller)
    standing = await desk.watch.standing()
    return View(
        "control.html",
        {
            "pauses": found["pauses"],
            "breakers": found["open_breakers"],
            "chosen": visit.query.get("app", ""),
            "switches": [(app, platform) for app, platforms in sorted(desk.apps.items()) for platform in platforms],
            "stops": sorted(desk.control.stops.items()),
            "holds": sorted(desk.control.holds.items()),
            "campaigns": sorted(desk.control.campaigns.items()),
            "parked": None if standing is None else standing["parked"],
        },
    )


async def pause(desk: Desk, visit: Visit) -> Away:
    """POST /control/pause."""
    name, path = _switch(visit, "pause")
    await desk.api.ask(name, visit.caller, path=path, body={"comment": visit.form.get("comment", "").strip()})
    return Away(HERE, "/".join(path.values()))


async def resume(desk: Desk, visit: Visit) -> Away:
    """POST /control/resume."""
    name, path = _switch(visit, "pause")
    await desk.api.ask(f"{name}_end", visit.caller, path=path)
    return Away(HERE, "/".join(path.values()))


async def broadcast(desk: Desk, visit: Visit) -> Away:
    """POST /control/broadcast: stop, hold or resume."""
    calls = {"stop": "stop_broadcast", "hold": "hold_broadcast", "resume": "resume_broadcast"}
    wanted, name = visit.form.get("do", ""), visit.form.get("id", "").strip()
    if wanted not in calls:
        raise Problem("bad_request", f"do is one of {', '.join(calls)}")
    await desk.api.ask(calls[wanted], visit.caller, path={"id": name})
    return Away(_back(visit), f"{wanted} {name}")


def _switch(visit: Visit, name: str) -> tuple[str, dict[str, str]]:
    """The call, and its path: of one lane or of all."""
    path: dict[str, Any] = {part: visit.form.get(part, "").strip() for part in ("app", "platform")}
    if not all(path.values()):
        raise Problem("bad_request", "an app and a platform are needed")
    if lane := visit.form.get("lane", "").strip():
        return f"{name}_lane", {**path, "lane": lane}
    return name, path


def _back(visit: Visit) -> str:
    """The page that the form stood on."""
    then = visit.form.get("then", HERE)
    return then if then.startswith("/reports/") else HERE
