"""Simulated push providers: TLS, real protocol behaviour, scripted verdicts, counters that accounts can trust.

In a process: `async with start("apns", work_dir=path) as simulator:`; from a shell: `pushcast sim apns`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from pushcast.simulators.apns.build import build as _apns
from pushcast.simulators.apps import AppSpec, app_specs
from pushcast.simulators.expo.build import build as _expo
from pushcast.simulators.fcm.build import build as _fcm
from pushcast.simulators.plan import Plan
from pushcast.simulators.recorder import Recorder
from pushcast.simulators.simulator import Simulator
from pushcast.simulators.webpush.build import build as _webpush

__all__ = ["PLATFORMS", "AppSpec", "Simulator", "start"]

_BUILDERS: Final[dict[str, Callable[..., Simulator]]] = {"apns": _apns, "fcm": _fcm, "expo": _expo, "webpush": _webpush}
PLATFORMS: Final = tuple(_BUILDERS)


def start(
    platform: str,
    *,
    work_dir: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    control_port: int = 0,
    seed: int = 0,
    checks: bool = True,
    apps: int | Sequence[AppSpec | str] = 1,
    max_copies: int = 2_000_000,
    max_deliveries: int = 10_000,
    **options: Any,
) -> Simulator:
    """A simulator that listens once it is entered (`async with`) or opened.

    Ports of 0 are chosen when it opens. `work_dir` gets the CA, the server's key and the apps' key files, and what is
    already there is used again, so a simulator that restarts with the same seed has the same credentials. With
    `checks` off everything is accepted that no rule, token prefix or state speaks against. `max_copies` bounds the
    memory of copy counting (about 250 bytes each; 0 switches it off), `max_deliveries` that of the log.

    apns options: `environment` (production, sandbox), `mtls`. Raises ValueError on an unknown platform or app list.
    """
    builder = _BUILDERS.get(platform)
    if builder is None:
        raise ValueError(f"platform {platform!r} is not one of {', '.join(PLATFORMS)}")
    plan = Plan(
        host=host,
        port=port,
        control_port=control_port,
        seed=seed,
        checks=checks,
        work_dir=work_dir,
        apps=app_specs(apps),
        recorder=Recorder(max_copies=max_copies, max_deliveries=max_deliveries),
    )
    return builder(plan, **options)
