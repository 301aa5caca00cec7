"""Puts an APNs simulator together."""

from __future__ import annotations

from typing import Any

from pushcast.simulators.apns.provider_tokens import SigningKey
from pushcast.simulators.apns.service import ApnsProvider, parse_environment
from pushcast.simulators.apps import apns_key
from pushcast.simulators.certificates import client_certificate, server_context
from pushcast.simulators.plan import Plan
from pushcast.simulators.simulator import Simulator


def build(plan: Plan, *, environment: str = "production", mtls: bool = False) -> Simulator:
    """Each app has a team, a key and a topic of its own; `mtls` also takes client certificates of the same CA."""
    keys: list[SigningKey] = []
    shown: dict[str, dict[str, Any]] = {}
    for app in plan.apps:
        key = apns_key(plan.work_dir, app, plan.random)
        keys.append(SigningKey(key.key_id, key.team_id, key.public_key, frozenset({app.bundle}), environment))
        shown[app.name] = {
            "key_file": str(key.key_file),
            "key_id": key.key_id,
            "team_id": key.team_id,
            "topic": app.bundle,
            "environment": environment,
        }
    if mtls:
        for app in plan.apps:
            certificate_file, key_file = client_certificate(plan.identity, plan.work_dir, app.name, app.bundle)
            shown[app.name] |= {"certificate_file": str(certificate_file), "certificate_key_file": str(key_file)}
    provider = ApnsProvider(
        clock=plan.clock,
        random=plan.random,
        recorder=plan.recorder,
        checks=plan.checks,
        keys=keys,
        environment=parse_environment(environment),
        certificates=mtls,
    )
    credentials = plan.shown(shown, topics=[app.bundle for app in plan.apps])
    return plan.simulator(
        provider,
        lambda _: credentials,
        context=server_context(plan.identity, alpn=["h2"], client_certificates=mtls),
        # APNs speaks HTTP/2 whatever ALPN says (providers.md §1.1).
        choose=lambda _: provider.new_connection(),
    )
