"""Puts an FCM simulator together."""

from __future__ import annotations

from typing import Any

from pushcast.simulators.apps import service_account
from pushcast.simulators.fcm.oauth import TokenEndpoint
from pushcast.simulators.fcm.service import FcmProvider
from pushcast.simulators.plan import Plan
from pushcast.simulators.simulator import Simulator


def build(plan: Plan) -> Simulator:
    """Each app has a project and a service account of its own; the token endpoint is `/token` on the same port."""
    accounts = [service_account(plan.work_dir, app, plan.random) for app in plan.apps]
    oauth = TokenEndpoint(accounts, plan.clock, plan.random)
    provider = FcmProvider(
        clock=plan.clock,
        random=plan.random,
        recorder=plan.recorder,
        checks=plan.checks,
        oauth=oauth,
        projects=frozenset(app.project_id for app in plan.apps),
    )

    def credentials(url: str) -> dict[str, Any]:
        oauth.token_uri = f"{url}/token"
        shown: dict[str, dict[str, Any]] = {}
        for app, account in zip(plan.apps, accounts, strict=True):
            account.write(oauth.token_uri)
            shown[app.name] = {
                "service_account_file": str(account.file),
                "project_id": account.project_id,
                "token_endpoint": oauth.token_uri,
            }
        return plan.shown(shown)

    return plan.simulator(provider, credentials)
