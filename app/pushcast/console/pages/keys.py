"""`/keys` and `/actions`: who may do what, and who did what."""

from __future__ import annotations

from pushcast.console.desk import Desk
from pushcast.console.visit import View, Visit


async def keys(desk: Desk, visit: Visit) -> View:
    """GET /keys: without anything of their secrets."""
    rows = [
        {
            "id": key_id,
            "label": key.label,
            "kind": key.kind,
            "scopes": [str(scope) for scope in key.scopes],
            "apps": key.apps,
            "disabled": key.disabled,
            "created_at": min((each.created_at for each in key.hashes), default=None),
            "expires_at": max((each.expires_at or 2**53 for each in key.hashes), default=2**53),
        }
        for key_id, key in sorted(desk.keys.records().items(), key=lambda item: item[1].label)
    ]
    return View("keys.html", {"keys": rows, "never": 2**53})


async def actions(desk: Desk, visit: Visit) -> View:
    """GET /actions: the newest 500."""
    return View("actions.html", {"actions": desk.actions.newest()})
