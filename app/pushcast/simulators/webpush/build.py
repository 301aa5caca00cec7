"""Puts a Web Push simulator together."""

from __future__ import annotations

from typing import Any

from pushcast.simulators.apps import vapid_key
from pushcast.simulators.plan import Plan
from pushcast.simulators.simulator import Simulator
from pushcast.simulators.webpush.service import WebPushProvider
from pushcast.simulators.webpush.subscriptions import base64url


def build(plan: Plan) -> Simulator:
    """Each app has a VAPID key of its own; subscriptions come from POST /subscribe on the control port."""
    provider = WebPushProvider(
        clock=plan.clock, random=plan.random, recorder=plan.recorder, checks=plan.checks, seed=plan.seed
    )
    shown: dict[str, dict[str, Any]] = {}
    for app in plan.apps:
        file, public = vapid_key(plan.work_dir, app)
        shown[app.name] = {
            "vapid_key_file": str(file),
            "vapid_public_key": base64url(public),
            "subject": f"mailto:push@{app.name}.example.com",
            "allowed_hosts": [plan.host],
        }

    def credentials(url: str) -> dict[str, Any]:
        provider.origin = url
        return plan.shown(shown)

    return plan.simulator(provider, credentials)
