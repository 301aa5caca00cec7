"""`/control`: pauses, breakers, and broadcasts that are stopped or held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pushcast.console.desk import Desk
from pushcast.console.visit import Away, Deed, View, Visit
from pushcast.console.words import when
from pushcast.gateway.problems import Problem
from pushcast.model.words import Lane, Platform
from pushcast.wire.control.control import Kind, Pause, Subject
from pushcast.wire.control.control_state import ControlState

HERE: Final = "/control"
#: How a broadcast stands that nobody holds or has stopped.
GOES_ON: Final = "goes on"


async def show(desk: Desk, visit: Visit) -> View:
    """GET /control."""
    found = await desk.api.ask("pauses", visit.caller)
    standing = await desk.watch.standing()
    return View(
        "control.html",
        {
            "labels": {f"key {key_id}": key.label for key_id, key in desk.keys.records().items() if key.label},
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
    comment = visit.form.get("comment", "").strip()
    before = paused(desk.control, path, visit.now_ms)
    await desk.api.ask(name, visit.caller, path=path, body={"comment": comment})
    return Away(HERE, Deed("/".join(path.values()), before, f"paused: {comment}" if comment else "paused"))


async def resume(desk: Desk, visit: Visit) -> Away:
    """POST /control/resume."""
    name, path = _switch(visit, "pause")
    before = paused(desk.control, path, visit.now_ms)
    await desk.api.ask(f"{name}_end", visit.caller, path=path)
    return Away(HERE, Deed("/".join(path.values()), before, "not paused"))


async def broadcast(desk: Desk, visit: Visit) -> Away:
    """POST /control/broadcast: stop, hold or resume."""
    calls = {"stop": "stop_broadcast", "hold": "hold_broadcast", "resume": "resume_broadcast"}
    after = {"stop": "stopped", "hold": "held", "resume": GOES_ON}
    wanted, name = visit.form.get("do", ""), visit.form.get("id", "").strip()
    if wanted not in calls:
        raise Problem("bad_request", f"do is one of {', '.join(calls)}")
    before = halted(desk.control, name, visit.now_ms)
    await desk.api.ask(calls[wanted], visit.caller, path={"id": name})
    return Away(_back(visit), Deed(name, before, before if before.startswith("stopped") else after[wanted]))


def paused(state: ControlState, path: Mapping[str, str], now_ms: int) -> str:
    """How an app's platform, or one lane of it, stands. Unknown names are `not paused`: the call refuses them."""
    try:
        lane = Lane(path["lane"]) if "lane" in path else None
        known: Pause | None = state.pauses.get(Subject(Kind.PAUSE, path["app"], Platform(path["platform"]), lane))
    except ValueError:
        known = None
    if known is None:
        return "not paused"
    since = f"paused since {when(known.since_ms, now_ms)}"
    return f"{since}: {known.comment}" if known.comment else since


def halted(state: ControlState, name: str, now_ms: int) -> str:
    """How a broadcast stands. One that is stopped goes on no more, whatever else is said of it."""
    for word, halts in (("stopped", state.stops), ("held", state.holds)):
        if (halt := halts.get(name)) is not None:
            return f"{word} since {when(halt.since_ms, now_ms)}"
    return GOES_ON


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
