"""`pushcast dlq list|show|lines|redrive`: dead letters, by topic, reason, app, user, notification and time."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pushcast.cli.audit import since_ms
from pushcast.cli.dlq_pages import paragraph, table
from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect_by_user
from pushcast.settle.letters import Filter
from pushcast.settle.manifest import FILE, Manifest

app = typer.Typer(name="dlq", help="Dead letters: what is there, why, and back to where it came from.")


TopicOption = Annotated[list[str] | None, typer.Option("--topic", help="Source topic; repeat for several.")]
ReasonOption = Annotated[list[str] | None, typer.Option("--reason", help="Reason; repeat for several.")]
AppOption = Annotated[list[str] | None, typer.Option("--app", help="App; repeat for several.")]
UserOption = Annotated[list[str] | None, typer.Option("--user", help="User id; repeat for several.")]
IdOption = Annotated[list[str] | None, typer.Option("--id", help="Notification id; repeat for several.")]
SinceOption = Annotated[str | None, typer.Option(help="First seen since: 10m, 2h, 1d ago or RFC 3339.")]
UntilOption = Annotated[str | None, typer.Option(help="First seen before: 10m, 2h, 1d ago or RFC 3339.")]


def _filter(
    topic: list[str] | None,
    reason: list[str] | None,
    app_name: list[str] | None,
    user: list[str] | None,
    note: list[str] | None,
    since: str | None,
    until: str | None,
) -> Filter:
    now = time.time()
    return Filter(
        frozenset(name.removesuffix(".dlq") for name in topic or ()),
        frozenset(reason or ()),
        frozenset(app_name or ()),
        frozenset(user or ()),
        frozenset(note or ()),
        None if since is None else since_ms(since, now),
        None if until is None else since_ms(until, now),
    )


@app.command("list")
def list_(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    app_name: AppOption = None,
    user: UserOption = None,
    note: IdOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Count dead letters by topic, reason and app, also those redriven from here and those that came back after it."""
    from pushcast.settle.redrive import DeadLetters

    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    settings = connect_by_user()
    done = Manifest(settings.data_dir / FILE)
    with DeadLetters(settings) as dead:
        for letter in dead.letters(_filter(topic, reason, app_name, user, note, since, until)):
            raw = letter.raw
            key = (raw.topic, letter.reason, ",".join(sorted(letter.apps)))
            row = rows.setdefault(
                key,
                {
                    "topic": key[0],
                    "reason": key[1],
                    "app": key[2] or None,
                    "letters": 0,
                    "redriven": 0,
                    "came_back": 0,
                    "deliveries": 0,
                    "oldest_at": letter.first_seen_at,
                    "newest_at": letter.first_seen_at,
                },
            )
            row["letters"] += 1
            row["redriven"] += done.holds(raw.topic, raw.partition, raw.offset)
            row["came_back"] += letter.redriven_from is not None
            row["deliveries"] += 0 if letter.batch is None else letter.batch.target_count
            row["oldest_at"] = min(row["oldest_at"], letter.first_seen_at)
            row["newest_at"] = max(row["newest_at"], letter.first_seen_at)
    found = [rows[key] for key in sorted(rows)]
    if output is Output.json:
        print_json({"rows": found, "letters": sum(row["letters"] for row in found)})
        return
    typer.echo("\n".join(table(found)))


@app.command()
def show(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    app_name: AppOption = None,
    user: UserOption = None,
    note: IdOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    output: OutputOption = Output.text,
) -> None:
    """Show single dead letters: where they were, why they are here, what they hold. Never a token or an address."""
    from pushcast.settle.redrive import DeadLetters
    from pushcast.settle.shown import described

    rows: list[dict[str, Any]] = []
    settings = connect_by_user()
    done = Manifest(settings.data_dir / FILE)
    with DeadLetters(settings) as dead:
        for letter in dead.letters(_filter(topic, reason, app_name, user, note, since, until)):
            raw = letter.raw
            rows.append({**described(letter), "redriven": done.holds(raw.topic, raw.partition, raw.offset)})
            if len(rows) == limit:
                break
    if output is Output.json:
        print_json({"letters": rows})
        return
    for row in rows:
        typer.echo("\n".join(paragraph(row)))


@app.command()
def lines(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    app_name: AppOption = None,
    user: UserOption = None,
    note: IdOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write notifications out as lines for `pushcast send FILE --lane LANE`, to be mended and sent. They hold content.

    What is no notification, or can not be read as one, is counted on stderr.
    """
    from pushcast.settle.redrive import DeadLetters
    from pushcast.settle.shown import line_of

    others = 0
    with DeadLetters(connect_by_user()) as dead:
        for letter in dead.letters(_filter(topic, reason, app_name, user, note, since, until)):
            line = line_of(letter)
            if line is None:
                others += 1
            else:
                typer.echo(line.decode())
    if others:
        say(f"{counted(others, 'letter')} left out: no notification that can be read")


@app.command()
def redrive(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    app_name: AppOption = None,
    user: UserOption = None,
    note: IdOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without, only count.")] = False,
    in_doubt: Annotated[
        bool, typer.Option("--in-doubt", help="Also what may have arrived already (unknown_outcome).")
    ] = False,
    per_second: Annotated[float, typer.Option(min=0.1, help="At most so many records per second.")] = 100.0,
    manifest: Annotated[
        Path | None, typer.Option(help="Where it is noted what was redriven.", show_default=f"<data_dir>/{FILE}")
    ] = None,
    output: OutputOption = Output.text,
) -> None:
    """Write dead letters back to their source topics, each once. What was delivered or has expired is left out.

    May be stopped and run again: it goes on where it was. Exit 1 when Kafka does not take a record.
    """
    from pushcast.settle.redrive import DeadLetters

    settings = connect_by_user()
    noted = Manifest(manifest or settings.data_dir / FILE)
    terminal = sys.stderr.isatty()

    def progress(redriven: int, letters: int) -> None:
        if terminal:
            say(f"{redriven:,} of {counted(letters, 'letter')} so far")

    with DeadLetters(settings) as dead:
        report = dead.redrive(
            _filter(topic, reason, app_name, user, note, since, until),
            noted,
            execute=execute,
            per_second=per_second,
            include_in_doubt=in_doubt,
            progress=progress,
        )
    result = {"executed": execute, **report.to_dict(), "manifest": str(noted.path)}
    if output is Output.json:
        print_json(result)
        return
    done = "redriven" if execute else "would be redriven (dry run: add --execute)"
    typer.echo(
        f"{report.redriven:,} of {counted(report.letters, 'letter')} {done}, {counted(report.deliveries, 'delivery')}"
    )
    if report.before:
        typer.echo(f"{counted(report.before, 'letter')} redriven before")
    if report.invalid:
        typer.echo(
            f"{counted(report.invalid, 'letter')} left out: the record itself is invalid and would come back. "
            "`pushcast dlq lines` writes them out to be mended; --reason takes them as they are"
        )
    for why, count in sorted(report.left_out.items()):
        typer.echo(f"{counted(count, 'delivery')} left out: {why}")
