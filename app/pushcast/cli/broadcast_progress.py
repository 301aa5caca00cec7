"""How `pushcast broadcast` writes an event and follows it: progress while it runs, its account at the end."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import typer

from pushcast.cli.output import Output, print_json, say
from pushcast.cli.session import connect_by_user, content_of
from pushcast.config.settings import Settings
from pushcast.model.errors import InvalidInput, PushcastError
from pushcast.model.words import Lane, Reason
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.notification_rules import DEFAULT_CLASS

if TYPE_CHECKING:
    from pushcast.audit.progress import Progress

#: How long `send --wait` and `count` wait for the settler to take the event.
SPREAD_SECONDS: Final = 30.0
#: The rate is that of the last seconds: what it was before says nothing of the time that is left.
RATE_SECONDS: Final = 10.0


def checked(file: Path, lane: Lane | None) -> tuple[Settings, dict[str, Any], Lane]:
    """The event of a file (- is stdin), held against the configuration as the settler will. Exit 1 for a bad one."""
    settings = connect_by_user()
    text = content_of(file)
    rules = class_rules(settings.classes)
    try:
        event = BroadcastDecoder(settings.apps, rules).decode(None, text, round(time.time() * 1000))
    except InvalidInput as error:
        say(f"{error.reason}: {error}")
        raise typer.Exit(1) from None
    fields: dict[str, Any] = orjson.loads(text)
    rule = settings.classes.get(event.broadcast.note.klass or DEFAULT_CLASS)
    return settings, fields, lane or (Lane.NORMAL if rule is None else rule.lane)


def write(settings: Settings, lane: Lane, event: dict[str, Any]) -> int:
    """Returns the event's offset."""
    from pushcast.kafka.intake import put_one
    from pushcast.wire import topics

    return put_one(settings, topics.broadcast(lane), event["id"].encode(), orjson.dumps(event))


def follow(
    settings: Settings, broadcast_id: str, lane: Lane, timeout_seconds: float, offset: int, *, first: bool = False
) -> Progress:
    """Follows the broadcast of the event at this offset to its end. `first`: where the event repeats an earlier one, so
    that nothing comes of it, it says so and follows that one."""
    from pushcast.audit.broadcasts import BroadcastBooks, FoundBroadcast

    began, patience = time.monotonic(), min(SPREAD_SECONDS, timeout_seconds)
    with BroadcastBooks(settings) as broadcasts:
        found: FoundBroadcast | None = None
        while found is None:
            mine = [each for each in broadcasts.spread([lane]) if each.order.broadcast == broadcast_id]
            found = next((each for each in mine if each.order.intake_offset == offset), None)
            if found is None and time.monotonic() - began > patience:
                raise PushcastError(
                    f"the settler has not taken {broadcast_id!r} within {patience:g} s: is one running? "
                    f"`pushcast dlq list --topic push.broadcast.{lane}.v1` shows what was refused"
                )
        if first and found.order.reason == Reason.DUPLICATE:
            say(f"{broadcast_id} was sent before: nothing comes of this event, and what follows is of the first")
            found = broadcasts.find(broadcast_id, [lane]) or found
        live = Live()
        try:
            return broadcasts.follow(found, timeout_seconds, live.show)
        finally:
            live.close()


class Live:
    """One line on a terminal's stderr that is written anew; elsewhere nothing, because the account says it all."""

    def __init__(self) -> None:
        self._speed = Speed()
        self._width = 0

    def show(self, progress: Progress) -> None:
        """What is known now."""
        self._speed.note(time.monotonic(), progress.ended)
        if sys.stderr.isatty():
            text = live_line(progress, self._speed.rate())
            typer.echo("\r" + text.ljust(self._width), nl=False, err=True)
            self._width = len(text)

    def close(self) -> None:
        """The next line begins at the left."""
        if self._width:
            typer.echo("", err=True)


class Speed:
    """Deliveries that end in a second, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, ended: int) -> None:
        """So many have ended by now, in seconds of any clock that grows."""
        self._seen.append((now, ended))
        while len(self._seen) > 2 and self._seen[1][0] <= now - RATE_SECONDS:
            self._seen.popleft()

    def rate(self) -> float:
        """0 before it can be told."""
        (began, before), (now, ended) = self._seen[0], self._seen[-1]
        return (ended - before) / (now - began) if now > began else 0.0


def live_line(progress: Progress, rate: float) -> str:
    """Partitions done, planned, accepted, rate and time left."""
    steps = f"step {progress.step + 1} of {progress.steps}, " if progress.steps > 1 else ""
    left = f", {round((progress.planned - progress.ended) / rate)} s left" if rate > 0 and progress.walked else ""
    rows = "" if progress.walked or not progress.rows else f"{progress.scanned:,} of about {progress.rows:,} rows, "
    return (
        f"{progress.state}: {steps}{progress.partitions_done} of {progress.partitions} partitions, {rows}"
        f"{progress.planned:,} planned{'' if progress.walked else ' so far'}, {progress.accepted:,} accepted, "
        f"{progress.ended:,} ended, {rate:,.0f}/s{left}"
    )


def account_line(progress: Progress) -> str:
    """What was planned and what became of it."""
    ended = " + ".join(f"{count:,} {outcome}" for outcome, count in progress.to_dict()["receipts"].items()) or "0"
    open_ = progress.planned - progress.ended
    return f"{progress.planned:,} planned = {ended}" + (f" + {open_:,} not ended" if open_ else "")


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    return [f"{name:16} {json.dumps(value) if isinstance(value, dict) else value}" for name, value in found.items()]


def answer(output: Output, found: Any, said: list[str]) -> None:
    """On stdout, in the form that was asked for."""
    if output is Output.json:
        print_json(found)
    else:
        typer.echo("\n".join(said))
