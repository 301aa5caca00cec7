"""Puts an Expo simulator together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from pushcast.simulators.apps import AppSpec, access_token
from pushcast.simulators.certificates import identity, server_context
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.control import ControlServer
from pushcast.simulators.expo.service import ExpoProvider
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
    """Each app is an Expo project with an access token; tokens `ExponentPushToken[<project>/…]` belong to it."""
    random = Random(seed)
    shown: dict[str, dict[str, Any]] = {}
    tokens: dict[str, str] = {}
    for app in apps:
        file, token = access_token(work_dir, app, random)
        tokens[app.project_id] = token
        shown[app.name] = {"access_token_file": str(file), "project": app.project_id}
    provider = ExpoProvider(
        clock=SimulatorClock(), random=random, recorder=recorder, checks=checks, access_tokens=tokens
    )
    tls = identity(work_dir)
    listener = Listener(host, port, server_context(tls, alpn=["h2", "http/1.1"]), choose_by_alpn(provider))
    credentials = {**shown[apps[0].name], "apps": shown}
    control = ControlServer(host, control_port)
    return Simulator(
        provider, listener, control, ca_file=tls.ca_file, work_dir=work_dir, credentials=lambda _: credentials
    )
