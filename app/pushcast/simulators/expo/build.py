"""Puts an Expo simulator together."""

from __future__ import annotations

from typing import Any

from pushcast.simulators.apps import access_token
from pushcast.simulators.expo.service import PER_SECOND, ExpoProvider
from pushcast.simulators.plan import Plan
from pushcast.simulators.simulator import Simulator


def build(plan: Plan) -> Simulator:
    """Each app is an Expo project with an access token; tokens `ExponentPushToken[<project>/…]` belong to it."""
    shown: dict[str, dict[str, Any]] = {}
    tokens: dict[str, str] = {}
    for app in plan.apps:
        file, token = access_token(plan.work_dir, app, plan.random)
        tokens[app.project_id] = token
        shown[app.name] = {"access_token_file": str(file), "project": app.project_id}
        if plan.checks:
            shown[app.name]["quota_per_second"] = PER_SECOND
    provider = ExpoProvider(
        clock=plan.clock, random=plan.random, recorder=plan.recorder, checks=plan.checks, access_tokens=tokens
    )
    credentials = plan.shown(shown)
    return plan.simulator(provider, lambda _: credentials)
