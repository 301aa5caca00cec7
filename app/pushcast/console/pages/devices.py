"""`/devices`: the story of one device: registrations, verdicts, suspensions, removals."""

from __future__ import annotations

from urllib.parse import urlencode

from pushcast.console.desk import Desk
from pushcast.console.visit import Away, View, Visit
from pushcast.gateway.problems import Problem
from pushcast.model.errors import PushcastError
from pushcast.model.said import of_kafka


async def by_name(_: Desk, visit: Visit) -> Away:
    """GET /devices/{device}: id, or hash of a token."""
    return Away(f"/devices?{urlencode({'device': visit.path['device']})}")


async def show(desk: Desk, visit: Visit) -> View:
    """GET /devices?device=ID[&user=U]; the id may be the hash of a token. Without the user every partition is read."""
    visit.caller.may_app(None)
    asked = {name: visit.query.get(name, "").strip() for name in ("device", "user")}
    if not asked["device"]:
        return View("device.html", {"asked": asked, "story": None})
    try:
        story = await desk.story(asked["device"], asked["user"] or None)
    except PushcastError as error:
        raise Problem("bad_request", str(error)) from None
    except Exception as error:
        if (told := of_kafka(error)) is None:
            raise
        raise Problem("kafka_unavailable", told, headers={"Retry-After": "5"}) from None
    return View("device.html", {"asked": asked, "story": story})
