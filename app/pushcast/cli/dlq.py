"""`pushcast dlq list|show|redrive`: dead letters, by topic, reason, app and time."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pushcast.cli.audit import since_ms
from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.cli.session import connect_by_user
from pushcast.settle.letters import Filter

app = typer.Typer(name="dlq", help="Dead letters: what is there, why, and back to where it came from.")

MANIFEST = "redrive.json"

TopicOption = Annotated[list[str] | None, typer.Option("--topic", help="Source topic; repeat for several.")]
ReasonOption = Annotated[list[str] | None, typer.Option("--reason", help="Reason; repeat for several.")]
AppOption = Annotated[list[str] | None, typer.Option("--app", help="App; repeat for several.")]
SinceOption = Annotated[str | None, typer.Option(help="First seen since: 10m, 2h, 1d ago or RFC 3339.")]
UntilOption = Annotated[str | None, typer.Option(help="First seen before: 10m, 2h, 1d ago or RFC 3339.")]


def _filter(
    topic: list[str] | None, reason: list[str] | None, app_name: list[str] | None, since: str | None, until: str | None
) -> Filter:
    now = time.time()
    return Filter(
        frozenset(name.removesuffix(".dlq") for name in topic or ()),
        frozenset(reason or ()),
        frozenset(app_name or ()),
        None if since is None else since_ms(since, now),
        None if until is None else since_ms(until, now),
    )


@app.command("list")
def list_(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    app_name: AppOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Count dead letters by topic, reason and app."""
    from pushcast.settle.redrive import DeadLetters

    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    with DeadLetters(connect_by_user()) as dead:
        for letter in dead.letters(_filter(topic, reason, app_name, since, until)):
            key = (letter.raw.topic, letter.reason, ",".join(sorted(letter.apps)))
            row = rows.setdefault(
                key,
                {
                    "topic": key[0],
                    "reason": key[1],
                    "app": key[2] or None,
                    "letters": 0,
                    "deliveries": 0,
                    "oldest_at": letter.first_seen_at,
                    "newest_at": letter.first_seen_at,
                },
            )
            row["letters"] += 1
            row["deliveries"] += 0 if letter.batch is None else letter.batch.target_count
            row["oldest_at"] = min(row["oldest_at"], letter.first_seen_at)
            row["newest_at"] = max(row["newest_at"], letter.first_seen_at)
    found = [rows[key] for key in sorted(rows)]
    if output is Output.json:
        print_json({"rows": found, "letters": sum(row["letters"] for row in found)})
        return
    for row in found:
        typer.echo(
            f"{row['letters']:>8}  {row['topic']}  {row['reason']}  {row['app'] or '-'}  "
            f"{_time(row['oldest_at'])} to {_time(row['newest_at'])}"
        )
    typer.echo(f"{sum(row['letters'] for row in found):>8}  in all")


@app.command()
def show(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    app_name: AppOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    output: OutputOption = Output.text,
) -> None:
    """Show single dead letters: where they were, why they are here, what they hold. Never a token or an address."""
    from pushcast.settle.letters import described
    from pushcast.settle.redrive import DeadLetters

    rows: list[dict[str, Any]] = []
    with DeadLetters(connect_by_user()) as dead:
        for letter in dead.letters(_filter(topic, reason, app_name, since, until)):
            rows.append(described(letter))
            if len(rows) == limit:
                break
    if output is Output.json:
        print_json({"letters": rows})
        return
    for row in rows:
        source = row["source"]
        typer.echo(f"{row['topic']}[{row['partition']}]@{row['offset']}  {row['reason']}: {row['message'] or ''}")
        typer.echo(
            f"    from {source['topic']}[{source['partition']}]@{source['offset']}, {_time(row['first_seen_at'])}, "
            f"stage {row['stage'] or '-'}, {row['attempts'] or 1} attempts, headers of {row['family']}"
        )
        for delivery in row.get("deliveries", []):
            typer.echo(f"    {delivery['app']} {delivery['user']} {delivery['device']}: {delivery['notification']}")


@app.command()
def redrive(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    app_name: AppOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    execute: Annotated[bool, typer.Option("--execute", help="Do it; without, only count.")] = False,
    in_doubt: Annotated[
        bool, typer.Option("--in-doubt", help="Also what may have arrived already (unknown_outcome).")
    ] = False,
    per_second: Annotated[float, typer.Option(min=0.1, help="At most so many records per second.")] = 100.0,
    manifest: Annotated[
        Path | None, typer.Option(help="Where it is noted what was redriven.", show_default=f"<data_dir>/{MANIFEST}")
    ] = None,
    output: OutputOption = Output.text,
) -> None:
    """Write dead letters back to their source topics, each once. What was delivered or has expired is left out.

    May be stopped and run again: it goes on where it was. Exit 1 when Kafka does not take a record.
    """
    from pushcast.settle.manifest import Manifest
    from pushcast.settle.redrive import DeadLetters

    settings = connect_by_user()
    noted = Manifest(manifest or settings.data_dir / MANIFEST)
    terminal = sys.stderr.isatty()

    def progress(redriven: int, letters: int) -> None:
        if terminal:
            say(f"{redriven} of {letters} letters read so far")

    with DeadLetters(settings) as dead:
        report = dead.redrive(
            _filter(topic, reason, app_name, since, until),
            noted,
            execute=execute,
            per_second=per_second,
            include_in_doubt=in_doubt,
            progress=progress,
        )
    result = {
        "executed": execute,
        "letters": report.letters,
        "redriven": report.redriven,
        "deliveries": report.deliveries,
        "redriven_before": report.before,
        "left_out": dict(sorted(report.left_out.items())),
        "manifest": str(noted.path),
    }
    if output is Output.json:
        print_json(result)
        return
    done = "redriven" if execute else "would be redriven (dry run: add --execute)"
    typer.echo(f"{report.redriven} of {report.letters} letters {done}, {report.deliveries} deliveries")
    if report.before:
        typer.echo(f"{report.before} letters were redriven before")
    for why, count in sorted(report.left_out.items()):
        typer.echo(f"{count} deliveries left out: {why}")


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
