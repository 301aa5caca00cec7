"""Puts an FCM simulator together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from pushcast.simulators.apps import AppSpec, service_account
from pushcast.simulators.certificates import identity, server_context
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.control import ControlServer
from pushcast.simulators.fcm.oauth import TokenEndpoint
from pushcast.simulators.fcm.service import FcmProvider
from pushcast.simulators.http1 import choose_by_alpn
from pushcast.simulators.listener import Listener
from pushcast.simulators.recorder import Recorder
from pushcast.simulators.simulator import Simulator


def build(
    *,
    host: str,
    port: int,
    control_port: int,
    seed: int,
    checks: bool,
    work_dir: Path,
    apps: Sequence[AppSpec],
    recorder: Recorder,
) -> Simulator:
    """Each app has a project and a service account of its own; the token endpoint is `/token` on the same port."""
    random = Random(seed)
    clock = SimulatorClock()
    accounts = [service_account(work_dir, app, random) for app in apps]
    oauth = TokenEndpoint(accounts, clock, random)
    provider = FcmProvider(
        clock=clock,
        random=random,
        recorder=recorder,
        checks=checks,
        oauth=oauth,
        projects=frozenset(app.project_id for app in apps),
    )

    tls = identity(work_dir)
    listener = Listener(host, port, server_context(tls, alpn=["h2", "http/1.1"]), choose_by_alpn(provider))
    control = ControlServer(host, control_port)

    def credentials(url: str) -> dict[str, Any]:
        oauth.token_uri = f"{url}/token"
        shown: dict[str, dict[str, Any]] = {}
        for app, account in zip(apps, accounts, strict=True):
            account.write(oauth.token_uri)
            shown[app.name] = {
                "service_account_file": str(account.file),
                "project_id": account.project_id,
                "token_endpoint": oauth.token_uri,
            }
        return {**shown[apps[0].name], "apps": shown}

    return Simulator(provider, listener, control, ca_file=tls.ca_file, work_dir=work_dir, credentials=credentials)
