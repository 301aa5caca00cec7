"""Puts an APNs simulator together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from pushcast.simulators.apns.provider_tokens import SigningKey
from pushcast.simulators.apns.service import ApnsProvider, parse_environment
from pushcast.simulators.apps import AppSpec, apns_key
from pushcast.simulators.certificates import client_certificate, identity, server_context
from pushcast.simulators.clock import SimulatorClock
from pushcast.simulators.control import ControlServer
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
    environment: str = "production",
    mtls: bool = False,
) -> Simulator:
    """Each app has a team, a key and a topic of its own; `mtls` also takes client certificates of the same CA."""
    random = Random(seed)
    keys: list[SigningKey] = []
    shown: dict[str, dict[str, Any]] = {}
    for app in apps:
        key = apns_key(work_dir, app, random)
        keys.append(SigningKey(key.key_id, key.team_id, key.public_key, frozenset({app.bundle}), environment))
        shown[app.name] = {
            "key_file": str(key.key_file),
            "key_id": key.key_id,
            "team_id": key.team_id,
            "topic": app.bundle,
            "environment": environment,
        }
    tls = identity(work_dir)
    if mtls:
        for app in apps:
            certificate_file, key_file = client_certificate(tls, work_dir, app.name, app.bundle)
            shown[app.name] |= {"certificate_file": str(certificate_file), "certificate_key_file": str(key_file)}
    provider = ApnsProvider(
        clock=SimulatorClock(),
        random=random,
        recorder=recorder,
        checks=checks,
        keys=keys,
        environment=parse_environment(environment),
        certificates=mtls,
    )
    context = server_context(tls, alpn=["h2"], client_certificates=mtls)
    # APNs speaks HTTP/2 whatever ALPN says (providers.md §1.1).
    listener = Listener(host, port, context, lambda _: provider.new_connection())
    credentials = {**shown[apps[0].name], "topics": [app.bundle for app in apps], "apps": shown}
    control = ControlServer(host, control_port)
    return Simulator(
        provider, listener, control, ca_file=tls.ca_file, work_dir=work_dir, credentials=lambda _: credentials
    )
