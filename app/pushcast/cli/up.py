"""`pushcast up`: Kafka, topics, simulated providers and every role, in the foreground."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Annotated, Any

import typer
from rich.console import Console

from pushcast.model.words import Platform


def up(
    platform: Annotated[
        list[Platform] | None, typer.Option(help="Only these; repeat for several.", show_default="all")
    ] = None,
) -> None:
    """Start a whole Pushcast in this folder, to be tried by hand; Ctrl-C stops it. Providers are simulated.

    Kafka, topics, simulators, all roles, the console, and a first user with a device. It writes ./pushcast.yaml, which
    the other commands then use, and keeps everything else in ./.pushcast/up.
    """
    from pushcast.demo.up import Place
    from pushcast.demo.up import up as start

    console = Console(stderr=True)
    stop = threading.Event()
    started = threading.Event()

    def end(number: int, _: Any) -> None:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)  # once is enough: everything is being stopped
        stop.set()
        if not started.is_set():
            sys.exit(128 + number)  # unwinds, so that nothing is left behind

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    start(
        Place.here(),
        [each.value for each in dict.fromkeys(platform or Platform)],
        lambda text: console.print(f"[dim]•[/] {text}", highlight=False, soft_wrap=True),
        stop,
        started,
    )
