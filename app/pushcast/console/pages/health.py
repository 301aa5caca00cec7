"""`/health`: every process and every consumer group."""

from __future__ import annotations

import asyncio

from pushcast.console.desk import Desk
from pushcast.console.visit import View, Visit


async def show(desk: Desk, visit: Visit) -> View:
    """GET /health."""
    processes, standing = await asyncio.gather(desk.watch.health(), desk.watch.standing())
    return View("health.html", {"processes": processes, "standing": standing})
