"""`pushcast sim PLATFORM`: a simulated push provider that runs until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Platform
from pushcast.runtime.collector import collect_seldom
from pushcast.simulators import AppSpec, Simulator, start
from pushcast.simulators.configuration import write_into


class Checks(StrEnum):
    """How strict a simulator is."""

    on = "on"
    off = "off"


class AppleEnvironment(StrEnum):
    """Apple's two."""

    production = "production"
    sandbox = "sandbox"


def sim(
    platform: Annotated[Platform, typer.Argument(help="Whose provider is simulated.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TLS port; 0 takes a free one.")] = 0,
    control_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the control API (plain HTTP); 0 takes a free one.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of everything random, and of key ids.")] = 0,
    checks: Annotated[
        Checks, typer.Option(help="on: as strict as the provider; off: rules and token prefixes only.")
    ] = Checks.on,
    work_dir: Annotated[
        Path | None, typer.Option(help="Keeps CA and credentials; default a temporary directory.")
    ] = None,
    apps: Annotated[int, typer.Option(min=1, help="How many apps with credentials of their own.")] = 1,
    topic: Annotated[list[str] | None, typer.Option(help="apns: an app's bundle id, once per app.")] = None,
    project: Annotated[list[str] | None, typer.Option(help="fcm: an app's project id, once per app.")] = None,
    environment: Annotated[
        AppleEnvironment, typer.Option(help="apns: which of Apple's.")
    ] = AppleEnvironment.production,
    mtls: Annotated[bool, typer.Option(help="apns: also take client certificates.")] = False,
    max_copies: Annotated[
        int, typer.Option(min=0, help="Accepted (token, body) pairs to count copies of; 0: none.")
    ] = 2_000_000,
    write_config: Annotated[
        Path | None, typer.Option(help="A pushcast.yaml that gets this platform's settings for each app.")
    ] = None,
    state: Annotated[str, typer.Option(help="Initial state as JSON, as PUT /state takes it.")] = "{}",
) -> None:
    """Run a simulated push provider; one line of JSON tells that it listens."""
    try:
        initial = json.loads(state)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--state") from None
    options: dict[str, Any] = {}
    if platform is Platform.APNS:
        options |= {"environment": environment.value, "mtls": mtls}
    specs = [AppSpec(name=text.rpartition(".")[2], topic=text) for text in topic or []]
    specs += [AppSpec(name=text, project=text) for text in project or []]
    try:
        with tempfile.TemporaryDirectory(prefix="pushcast-sim-") as temporary:
            simulator = start(
                platform,
                work_dir=work_dir or Path(temporary),
                port=port,
                control_port=control_port,
                seed=seed,
                checks=checks is Checks.on,
                apps=specs or apps,
                max_copies=max_copies,
                **options,
            )
            _run(simulator, initial, write_config)
    except (ValueError, OSError, ConfigurationError) as error:
        raise ConfigurationError(f"sim {platform}: {error}") from None


def _run(simulator: Simulator, state: dict[str, Any], write_config: Path | None) -> None:
    async def until_told() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with simulator:
            await simulator.set_state(state)
            line = simulator.describe()
            if write_config is not None:
                write_into(write_config, line)
            collect_seldom()
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            await stop.wait()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(until_told())


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


app = typer.Typer()
app.command()(sim)
