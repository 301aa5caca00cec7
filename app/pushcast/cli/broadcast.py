"""`pushcast broadcast`: one event for every device of an audience."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pushcast.cli.broadcast_progress import account_line, answer, checked, follow, lines, write
from pushcast.cli.output import Output, OutputOption, say
from pushcast.cli.session import connect, connect_by_user
from pushcast.cli.signed import as_said, operator
from pushcast.config.settings import Settings
from pushcast.model.errors import PushcastError
from pushcast.model.ids import bucket as bucket_of
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.wire.control.control import Halt, Kind, Name
from pushcast.wire.events.broadcasts import MAX_LIFE_MS, BroadcastDecoder
from pushcast.wire.events.class_rules import class_rules

app = typer.Typer(help="One event for every device of an audience.", no_args_is_help=True)

LaneOption = Annotated[Lane | None, typer.Option(help="Lane; absent: the class's.")]
TimeoutOption = Annotated[float, typer.Option(help="Longest wait.")]
FileArgument = Annotated[Path, typer.Argument(help="A broadcast event as JSON; - reads stdin.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Broadcast id.")]


@app.command()
def send(
    file: FileArgument,
    lane: LaneOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its last receipt.")] = False,
    timeout_seconds: TimeoutOption = 3600.0,
    output: OutputOption = Output.text,
) -> None:
    """Write a broadcast. With --wait: progress on stderr, the account at the end; exit 1 unless all has ended."""
    settings, event, chosen = checked(file, lane)
    offset = write(settings, chosen, event)
    if not wait:
        answer(output, {"id": event["id"], "lane": str(chosen)}, [f"{event['id']} is in {chosen}"])
        return
    progress = follow(settings, event["id"], chosen, timeout_seconds, offset, first=True)
    found = progress.to_dict()
    answer(output, found, [*lines(found), account_line(progress)])
    if not progress.finished:
        say(f"not finished within {timeout_seconds:.0f} s; `pushcast broadcast status {event['id']}` goes on")
        raise typer.Exit(1)


@app.command()
def count(
    file: FileArgument,
    lane: LaneOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="Walk one partition, and reckon from it.")] = False,
    timeout_seconds: TimeoutOption = 600.0,
    output: OutputOption = Output.text,
) -> None:
    """Count a broadcast's audience, exactly: the same walk, and nothing is sent. --quick: with its error."""
    from pushcast.audit.estimate import estimated

    settings, event, chosen = checked(file, lane)
    event |= {"count_only": True, "quick": quick}
    event.pop("pace", None)
    started = time.monotonic()
    offset = write(settings, chosen, event)
    progress = follow(settings, event["id"], chosen, timeout_seconds, offset)
    reckoned = estimated(progress.to_dict(), progress.partitions if quick else 1)
    exact = progress.walked and not quick
    found = {**reckoned, "exact": exact, "seconds": round(time.monotonic() - started, 2)}
    answer(output, found, [f"{name}: {value}" for name, value in found.items()])
    if not progress.walked:
        say(f"not counted within {timeout_seconds:g} s: {progress.partitions_done} of {progress.partitions} partitions")
        raise typer.Exit(1)


@app.command()
def status(broadcast_id: IdArgument, lane: LaneOption = None, output: OutputOption = Output.text) -> None:
    """How a broadcast stands now."""
    from pushcast.audit.broadcasts import BroadcastBooks

    settings = connect_by_user()
    with BroadcastBooks(settings) as broadcasts:
        found = broadcasts.find(broadcast_id, [lane] if lane else tuple(Lane))
        if found is None:
            raise PushcastError(f"no broadcast {broadcast_id!r} was spread within the last 7 days")
        progress = broadcasts.follow(found, 0, once=True)
    progress.held = broadcast_id in _control(settings).holds
    answer(output, progress.to_dict(), lines(progress.to_dict()))


@app.command()
def why(
    broadcast_id: IdArgument,
    user: Annotated[str, typer.Option(help="User id.")],
    lane: LaneOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Tell of each device of a user whether a broadcast was for it, what decided that, and how its delivery ended.

    It asks the predicate of the walk about the device's row as it is now, and says where a delivery waits, why and
    until when. Exit 1 when the user has no device.
    """
    from pushcast.audit.broadcast_why import UserFacts, verdict_of
    from pushcast.audit.broadcasts import BroadcastBooks
    from pushcast.audit.kept import deliveries_of
    from pushcast.audit.kept_reading import kept_of
    from pushcast.audit.why import deliveries_waiting
    from pushcast.kafka.intake import raw_rows_of_user

    settings = connect_by_user()
    with BroadcastBooks(settings) as broadcasts:
        found = broadcasts.find(broadcast_id, [lane] if lane else tuple(Lane))
        if found is None:
            raise PushcastError(f"no broadcast {broadcast_id!r} was spread within the last 7 days")
        progress = broadcasts.follow(found, 0, once=True)
        decoder = BroadcastDecoder(settings.apps, class_rules(settings.classes))
        sent = decoder.decode_frozen(found.order.event, found.order.recorded_at)
        earlier = None if sent.not_to is None else broadcasts.find(sent.not_to.broadcast, [found.lane])
        had = {} if earlier is None else broadcasts.follow(earlier, 0, once=True).outcomes
    facts = UserFacts(
        progress.outcomes,
        had,
        deliveries_of(kept_of(settings, user), broadcast_id),
        deliveries_waiting(settings, user, broadcast_id),
        progress.passed_at(partition_of(user.encode(), settings.kafka.partitions), user),
    )
    verdicts = [verdict_of(*row, found.order, sent, facts) for row in raw_rows_of_user(settings, user)]
    said = [each.to_dict() for each in verdicts]
    answer(output, said, [each.sentence() for each in verdicts] or [f"{user} has no device"])
    if not verdicts:
        raise typer.Exit(1)


@app.command("list")
def list_broadcasts(lane: LaneOption = None, output: OutputOption = Output.text) -> None:
    """Broadcasts of the last 7 days, counts and duplicates among them."""
    from pushcast.audit.broadcasts import BroadcastBooks

    settings = connect_by_user()
    with BroadcastBooks(settings) as broadcasts:
        found = [each.to_dict() for each in broadcasts.spread([lane] if lane else tuple(Lane))]
    said = [
        f"{each['at']}  {each['lane']:6}  {each['id']}  {each['reason'] or ('count' if each['count_only'] else '')}"
        for each in found
    ]
    answer(output, found, said or ["none"])


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
    answer(output, {"id": broadcast_id, "held": False}, [f"{broadcast_id} goes on"])


@app.command()
def bucket(
    users: Annotated[list[str], typer.Argument(metavar="USER...", help="User ids.")],
    salt: Annotated[str, typer.Option(help="Salt of the split; by default the broadcast's id.")],
    output: OutputOption = Output.text,
) -> None:
    """Where users stand among the 10,000 buckets of a split."""
    found = {user: bucket_of(salt, user) for user in users}
    answer(output, found, [f"{user}: {place}" for user, place in found.items()])


def _halt(kind: Kind, broadcast_id: str, comment: str, output: Output) -> None:
    from pushcast.kafka import switchboard
    from pushcast.wire.control.control_state import MAX_NAMES

    settings = connect()
    subject = Name(kind, broadcast_id)
    if not _control(settings).has_room(subject):
        raise PushcastError(f"too_many: {MAX_NAMES:,} broadcasts are in {kind}/ already")
    now_ms = round(time.time() * 1000)
    by = operator()
    # It may go when no broadcast of this id can be alive any more.
    record = Halt(since_ms=now_ms, remove_at=now_ms + 2 * MAX_LIFE_MS, by=by, comment=as_said(comment))
    switchboard.write(settings, subject, record)
    word = "stopped" if kind is Kind.STOP else "held"
    answer(output, {"id": broadcast_id, word: True}, [f"{broadcast_id} is {word}"])


def _control(settings: Settings) -> Any:
    from pushcast.kafka.switchboard import read_state

    return read_state(settings)
