"""`pushcast sim PLATFORM`: a simulated push provider that runs until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from pushcast.simulators import AppSpec, Simulator, start

app = typer.Typer(help="Simulated push providers, over TLS, with a control API.", no_args_is_help=True)

_Port = Annotated[int, typer.Option(help="TLS port; 0 takes a free one.")]
_ControlPort = Annotated[int, typer.Option(help="Port of the control API (plain HTTP); 0 takes a free one.")]
_Seed = Annotated[int, typer.Option(help="Seed of everything random, and of key ids.")]
_Checks = Annotated[str, typer.Option(help="on: validates as the provider does; off: rules and token prefixes only.")]
_WorkDir = Annotated[
    Path | None, typer.Option(help="Where CA and credentials are kept; default a temporary directory.")
]
_Apps = Annotated[int, typer.Option(help="How many apps with credentials of their own.")]
_Copies = Annotated[int, typer.Option(help="Accepted (token, body) pairs to count copies of; 0: none.")]
_LatencyMs = Annotated[float, typer.Option(help="Answer delay in milliseconds.")]
_JitterMs = Annotated[float, typer.Option(help="Uniform jitter around it in milliseconds.")]


@app.command()
def apns(
    port: _Port = 0,
    control_port: _ControlPort = 0,
    seed: _Seed = 0,
    checks: _Checks = "on",
    work_dir: _WorkDir = None,
    apps: _Apps = 1,
    topic: Annotated[
        list[str] | None, typer.Option(help="A topic (bundle id); once per app, instead of --apps.")
    ] = None,
    environment: Annotated[str, typer.Option(help="production or sandbox.")] = "production",
    mtls: Annotated[bool, typer.Option(help="Also take client certificates.")] = False,
    max_copies: _Copies = 2_000_000,
    latency_ms: _LatencyMs = 0.0,
    jitter_ms: _JitterMs = 0.0,
) -> None:
    """Apple Push Notification service."""
    specs = [AppSpec(name=text.rpartition(".")[2], topic=text) for text in topic or []]
    _serve(
        "apns",
        {"ms": latency_ms, "jitter_ms": jitter_ms},
        work_dir,
        checks,
        port=port,
        control_port=control_port,
        seed=seed,
        apps=specs or apps,
        max_copies=max_copies,
        environment=environment,
        mtls=mtls,
    )


def _serve(platform: str, latency: dict[str, float], work_dir: Path | None, checks: str, **options: Any) -> None:
    if checks not in {"on", "off"}:
        raise typer.BadParameter(f"{checks!r} is not on or off", param_hint="--checks")
    try:
        with tempfile.TemporaryDirectory(prefix="pushcast-sim-") as temporary:
            simulator = start(platform, work_dir=work_dir or Path(temporary), checks=checks == "on", **options)
            if any(latency.values()):
                simulator.provider.set_state({"latency": latency})
            _run(simulator)
    except (ValueError, OSError) as error:
        typer.echo(f"pushcast sim {platform}: {error}", err=True)
        raise typer.Exit(2) from None


def _run(simulator: Simulator) -> None:
    async def until_told() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with simulator:
            sys.stdout.write(json.dumps(simulator.describe()) + "\n")
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


if __name__ == "__main__":
    app()
