"""Puts a Web Push simulator together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from pushcast.simulators.apps import AppSpec, vapid_key
from pushcast.simulators.certificates import identity, server_context
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.control import ControlServer
from pushcast.simulators.http1 import choose_by_alpn
from pushcast.simulators.listener import Listener
from pushcast.simulators.recorder import Recorder
from pushcast.simulators.simulator import Simulator
from pushcast.simulators.webpush.service import WebPushProvider
from pushcast.simulators.webpush.subscriptions import base64url


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
    """Each app has a VAPID key of its own; subscriptions come from POST /subscribe on the control port."""
    clock, random = SimulatorClock(), Random(seed)
    provider = WebPushProvider(clock=clock, random=random, recorder=recorder, checks=checks, seed=seed)
    shown: dict[str, dict[str, Any]] = {}
    for app in apps:
        file, public = vapid_key(work_dir, app)
        shown[app.name] = {
            "vapid_key_file": str(file),
            "vapid_public_key": base64url(public),
            "subject": f"mailto:push@{app.name}.example.com",
            "allowed_hosts": [host],
        }
    tls = identity(work_dir)
    listener = Listener(host, port, server_context(tls, alpn=["h2", "http/1.1"]), choose_by_alpn(provider))

    def credentials(url: str) -> dict[str, Any]:
        provider.origin = url
        return {**shown[apps[0].name], "apps": shown}

    control = ControlServer(host, control_port)
    return Simulator(provider, listener, control, ca_file=tls.ca_file, work_dir=work_dir, credentials=credentials)
