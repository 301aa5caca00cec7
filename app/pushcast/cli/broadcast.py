"""`pushcast broadcast`: one event for every device of an audience."""

from __future__ import annotations

import getpass
import json
import socket
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.cli.session import connect, connect_by_user
from pushcast.config.settings import Settings
from pushcast.model.errors import InvalidInput, PushcastError
from pushcast.model.ids import bucket as bucket_of
from pushcast.model.words import Lane
from pushcast.wire.broadcasts import MAX_LIFE_MS, BroadcastDecoder
from pushcast.wire.class_rules import class_rules
from pushcast.wire.control import Halt, Kind, Name
from pushcast.wire.notifications import DEFAULT_CLASS

app = typer.Typer(help="One event for every device of an audience.", no_args_is_help=True)

LaneOption = Annotated[Lane | None, typer.Option(help="Lane; absent: the class's.")]
TimeoutOption = Annotated[float, typer.Option(help="Longest wait.")]
FileArgument = Annotated[Path, typer.Argument(help="A broadcast event as JSON; - reads stdin.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Broadcast id.")]
#: How long `send --wait` and `count` wait for the settler to take the event.
SPREAD_SECONDS = 30.0


@app.command()
def send(
    file: FileArgument,
    lane: LaneOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its last receipt.")] = False,
    timeout_seconds: TimeoutOption = 3600.0,
    output: OutputOption = Output.text,
) -> None:
    """Write a broadcast. With --wait: progress on stderr, the account at the end; exit 1 unless all has ended."""
    settings, event, chosen = _checked(file, lane)
    _write(settings, chosen, event)
    if not wait:
        _answer(output, {"id": event["id"], "lane": str(chosen)}, [f"{event['id']} is in {chosen}"])
        return
    _follow(settings, event["id"], chosen, timeout_seconds, output)


@app.command()
def count(
    file: FileArgument,
    lane: LaneOption = None,
    timeout_seconds: TimeoutOption = 600.0,
    output: OutputOption = Output.text,
) -> None:
    """Count a broadcast's audience, exactly: the same walk, and nothing is sent."""
    settings, event, chosen = _checked(file, lane)
    event["count_only"] = True
    event.pop("pace", None)
    started = time.monotonic()
    offset = _write(settings, chosen, event)
    progress = _progress(settings, event["id"], chosen, timeout_seconds, offset)
    found = progress.to_dict()
    answer = {
        "devices": found["planned"] + found["held_out"],
        "per_platform": found["per_platform"],
        "per_variant": found["per_variant"],
        "holdout": found["held_out"],
        "left_out": found["left_out"],
        "exact": progress.walked,
        "seconds": round(time.monotonic() - started, 2),
    }
    _answer(output, answer, [f"{name}: {value}" for name, value in answer.items()])
    if not progress.walked:
        raise typer.Exit(1)


@app.command()
def status(broadcast_id: IdArgument, lane: LaneOption = None, output: OutputOption = Output.text) -> None:
    """How a broadcast stands now."""
    from pushcast.audit.broadcasts import Broadcasts

    settings = connect_by_user()
    with Broadcasts(settings) as broadcasts:
        found = broadcasts.find(broadcast_id, [lane] if lane else tuple(Lane))
        if found is None:
            raise PushcastError(f"no broadcast {broadcast_id!r} was spread within the last 7 days")
        progress = broadcasts.follow(found, 0, once=True)
    progress.held = broadcast_id in _control(settings).holds
    _answer(output, progress.to_dict(), _lines(progress.to_dict()))


@app.command()
def why(
    broadcast_id: IdArgument,
    user: Annotated[str, typer.Option(help="User id.")],
    lane: LaneOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Tell of each device of a user whether a broadcast was for it, what decided that, and how its delivery ended.

    It asks the predicate of the walk about the device's row as it is now. Exit 1 when the user has no device.
    """
    from pushcast.audit.broadcast_why import verdict_of
    from pushcast.audit.broadcasts import Broadcasts
    from pushcast.kafka.intake import raw_rows_of_user

    settings = connect_by_user()
    with Broadcasts(settings) as broadcasts:
        found = broadcasts.find(broadcast_id, [lane] if lane else tuple(Lane))
        if found is None:
            raise PushcastError(f"no broadcast {broadcast_id!r} was spread within the last 7 days")
        ended = broadcasts.follow(found, 0, once=True).outcomes
    decoder = BroadcastDecoder(settings.apps, class_rules(settings.classes))
    sent = decoder.decode_frozen(found.order.event, found.order.recorded_at)
    verdicts = [verdict_of(*row, found.order, sent, ended) for row in raw_rows_of_user(settings, user)]
    answer = [{**each._asdict(), "answer": each.sentence()} for each in verdicts]
    _answer(output, answer, [each.sentence() for each in verdicts] or [f"{user} has no device"])
    if not verdicts:
        raise typer.Exit(1)


@app.command("list")
def list_broadcasts(lane: LaneOption = None, output: OutputOption = Output.text) -> None:
    """Broadcasts of the last 7 days, counts and duplicates among them."""
    from pushcast.audit.broadcasts import Broadcasts
    from pushcast.wire.times import rfc3339

    settings = connect_by_user()
    with Broadcasts(settings) as broadcasts:
        found = [
            {
                "id": each.order.broadcast,
                "lane": str(each.lane),
                "at": rfc3339(each.order.recorded_at),
                "count_only": each.order.count_only,
                "reason": each.order.reason or None,
            }
            for each in broadcasts.spread([lane] if lane else tuple(Lane))
        ]
    said = [
        f"{each['at']}  {each['lane']:6}  {each['id']}  {each['reason'] or ('count' if each['count_only'] else '')}"
        for each in found
    ]
    _answer(output, found, said or ["none"])


@app.command()
def stop(
    broadcast_id: IdArgument,
    comment: Annotated[str, typer.Option(help="Why, for whoever looks at it later.")] = "",
    output: OutputOption = Output.text,
) -> None:
    """End a broadcast: nothing more is planned, and what has not left ends as cancelled."""
    _halt(Kind.STOP, broadcast_id, comment, output)


@app.command()
def hold(
    broadcast_id: IdArgument,
    comment: Annotated[str, typer.Option(help="Why, for whoever looks at it later.")] = "",
    output: OutputOption = Output.text,
) -> None:
    """Let a broadcast wait until `resume`, its end or its expiry."""
    _halt(Kind.HOLD, broadcast_id, comment, output)


@app.command()
def resume(broadcast_id: IdArgument, output: OutputOption = Output.text) -> None:
    """Let a held broadcast go on."""
    from pushcast.kafka import switchboard

    switchboard.write(connect(), Name(Kind.HOLD, broadcast_id), None)
    _answer(output, {"id": broadcast_id, "held": False}, [f"{broadcast_id} goes on"])


@app.command()
def bucket(
    users: Annotated[list[str], typer.Argument(metavar="USER...", help="User ids.")],
    salt: Annotated[str, typer.Option(help="Salt of the split; by default the broadcast's id.")],
    output: OutputOption = Output.text,
) -> None:
    """Where users stand among the 10,000 buckets of a split."""
    found = {user: bucket_of(salt, user) for user in users}
    _answer(output, found, [f"{user}: {place}" for user, place in found.items()])


def _checked(file: Path, lane: Lane | None) -> tuple[Settings, dict[str, Any], Lane]:
    """The event, held against the configuration as the settler will. Raises InvalidInput as exit 1."""
    settings = connect_by_user()
    text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    rules = class_rules(settings.classes)
    try:
        event = BroadcastDecoder(settings.apps, rules).decode(None, text, round(time.time() * 1000))
    except InvalidInput as error:
        say(f"{error.reason}: {error}")
        raise typer.Exit(1) from None
    fields: dict[str, Any] = orjson.loads(text)
    rule = settings.classes.get(event.broadcast.note.klass or DEFAULT_CLASS)
    return settings, fields, lane or (Lane.NORMAL if rule is None else rule.lane)


def _write(settings: Settings, lane: Lane, event: dict[str, Any]) -> int:
    """Returns the event's offset."""
    from pushcast.kafka.intake import put_one
    from pushcast.wire import topics

    return put_one(settings, topics.broadcast(lane), event["id"].encode(), orjson.dumps(event))


def _follow(settings: Settings, broadcast_id: str, lane: Lane, timeout_seconds: float, output: Output) -> None:
    progress = _progress(settings, broadcast_id, lane, timeout_seconds, None)
    found = progress.to_dict()
    _answer(output, found, _lines(found))
    if not progress.finished:
        say(f"not finished within {timeout_seconds:.0f} s; `pushcast broadcast status {broadcast_id}` goes on")
        raise typer.Exit(1)


def _progress(settings: Settings, broadcast_id: str, lane: Lane, timeout_seconds: float, offset: int | None) -> Any:
    """Follows it to its end. `offset`: of the event, when it is not the first of its id."""
    from pushcast.audit.broadcasts import Broadcasts, Found

    began = time.monotonic()

    def tell(progress: Any) -> None:
        state, rate = progress.state, progress.ended / max(0.001, time.monotonic() - began)
        left = f", {round((progress.planned - progress.ended) / rate)} s left" if rate and progress.walked else ""
        say(
            f"{state}: {progress.partitions_done} of {progress.partitions} partitions, {progress.planned:,} planned"
            f"{'' if progress.walked else ' so far'}, {progress.ended:,} ended, {rate:,.0f}/s{left}"
        )

    with Broadcasts(settings) as broadcasts:
        found: Found | None = None
        while found is None:
            mine = [each for each in broadcasts.spread([lane]) if each.order.broadcast == broadcast_id]
            if offset is None:
                found = broadcasts.find(broadcast_id, [lane])
            else:
                found = next((each for each in mine if each.order.intake_offset == offset), None)
            if found is None and time.monotonic() - began > SPREAD_SECONDS:
                raise PushcastError(
                    f"the settler has not taken {broadcast_id!r} within {SPREAD_SECONDS:.0f} s: is one running? "
                    f"`pushcast dlq list push.broadcast.{lane}.v1` shows what was refused"
                )
        return broadcasts.follow(found, timeout_seconds, tell if sys.stderr.isatty() else lambda progress: None)


def _halt(kind: Kind, broadcast_id: str, comment: str, output: Output) -> None:
    from pushcast.kafka import switchboard
    from pushcast.wire.control_state import MAX_NAMES

    settings = connect()
    state = _control(settings)
    known = state.stops if kind is Kind.STOP else state.holds
    if broadcast_id not in known and len(known) >= MAX_NAMES:
        raise PushcastError(f"too_many: {MAX_NAMES:,} broadcasts are in {kind}/ already")
    now_ms = round(time.time() * 1000)
    by = f"{getpass.getuser()}@{socket.gethostname()}"
    # It may go when no broadcast of this id can be alive any more.
    record = Halt(since_ms=now_ms, remove_at=now_ms + 2 * MAX_LIFE_MS, by=by, comment=comment)
    switchboard.write(settings, Name(kind, broadcast_id), record)
    word = "stopped" if kind is Kind.STOP else "held"
    _answer(output, {"id": broadcast_id, word: True}, [f"{broadcast_id} is {word}"])


def _control(settings: Settings) -> Any:
    from pushcast.kafka.switchboard import read_state

    return read_state(settings)


def _lines(found: dict[str, Any]) -> list[str]:
    return [f"{name:16} {json.dumps(value) if isinstance(value, dict) else value}" for name, value in found.items()]


def _answer(output: Output, answer: Any, lines: list[str]) -> None:
    if output is Output.json:
        print_json(answer)
    else:
        typer.echo("\n".join(lines))
