"""`pushcast report show|list|totals|export|sql`: what became of notifications and broadcasts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from pushcast.cli.audit import since_ms
from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.receipts import Format
from pushcast.cli.session import connect_by_user
from pushcast.config.doors import Reports
from pushcast.wire import topics

app = typer.Typer(name="report", help="What became of notifications and broadcasts.")

FolderOption = Annotated[
    str, typer.Option(help="Where exports and manifest.json are: a folder, or a URL like s3://bucket/receipts.")
]
SinceOption = Annotated[str | None, typer.Option(help="Created since: 10m, 2h, 1d ago or RFC 3339.")]


@app.command()
def show(
    note: Annotated[str | None, typer.Argument(help="Notification or broadcast id.")] = None,
    campaign: Annotated[
        str | None, typer.Option(help="The reports of this campaign as one, in place of an id.")
    ] = None,
    output: OutputOption = Output.text,
) -> None:
    """Show one report, or those of a campaign as one. Exit 1 when nothing is known of it."""
    if (note is None) == (campaign is None):
        raise typer.BadParameter("give an id or --campaign")
    if campaign is not None:
        _show_campaign(campaign, output)
        return
    found = _ask(lambda reports: reports.report(note))
    if found is None:
        say(f"nothing is known of {note}")
        raise typer.Exit(1)
    if output is Output.json:
        print_json(found)
        return
    for line in lines_of(found):
        typer.echo(line)


def _show_campaign(label: str, output: Output) -> None:
    found = _ask(lambda reports: reports.campaign(label))
    if not found["reports"]:
        say(f"there is no report of {label} in the last 7 days")
        _say_missing(found["missing_partitions"])
        raise typer.Exit(1)
    if output is Output.json:
        print_json(found)
        return
    of = "" if found["whole"] else ", the newest"
    typer.echo(f"{label}: {counted(found['reports'], 'report')}{of}")
    typer.echo(f"  {found['planned']} planned, {found['open']} open, {found['held']} held")
    for outcome, count in found["outcomes"].items():
        if count:
            typer.echo(f"  {count:>9} {outcome}")
    _say_missing(found["missing_partitions"])


@app.command("list")
def list_(
    since: SinceOption = None,
    app_name: Annotated[str | None, typer.Option("--app", help="Only this app.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    output: OutputOption = Output.text,
) -> None:
    """List the newest reports; of the last 7 days without --since."""
    from_ms = None if since is None else since_ms(since, time.time())

    def wanted(report: dict[str, Any]) -> bool:
        return app_name is None or report["app"] == app_name

    found = _ask(lambda reports: reports.listed(from_ms=from_ms, limit=limit, wanted=wanted))
    if output is Output.json:
        print_json(found)
        return
    for row in found["reports"]:
        accepted = row["outcomes"]["accepted"]
        typer.echo(
            f"{row['created_at'] or '-':24}  {row['state']:8}  {accepted:>9} of {row['planned']:>9}  "
            f"{row['app'] or '-'}  {row['class'] or '-'}  {row['id']}"
        )
    say(counted(len(found["reports"]), "report"))
    _say_missing(found["missing_partitions"])


@app.command()
def totals(
    since: Annotated[str, typer.Option(help="Due since: 10m, 2h, 1d ago or RFC 3339.")] = "1h",
    app_name: Annotated[str | None, typer.Option("--app", help="Only this app.")] = None,
    klass: Annotated[str | None, typer.Option("--class", help="Only this class.")] = None,
    step: Annotated[int, typer.Option("--step", min=1, max=1440, help="Minutes in a row.")] = 60,
    output: OutputOption = Output.text,
) -> None:
    """Show what became due by app, class, platform and time, and how it ended; also of classes without reports."""
    from_ms = since_ms(since, time.time())
    found = _ask(lambda reports: reports.totals(from_ms=from_ms, step=step, app=app_name, klass=klass))
    if output is Output.json:
        print_json(found)
        return
    for row in found["totals"]:
        ended = ", ".join(f"{count} {outcome}" for outcome, count in row["outcomes"].items() if count)
        typer.echo(
            f"{row['due_at']:24}  {row['planned']:>9} planned: {ended or 'none has ended'}  "
            f"{row['app'] or '-'}  {row['class'] or '-'}  {row['platform'] or '-'}  {row['lane']}"
        )
    say(counted(len(found["totals"]), "row"))
    _say_missing(found["missing_partitions"])


@app.command()
def export(
    day: Annotated[
        str | None, typer.Option(help="A day that is over (UTC), like 2026-11-28.", show_default="yesterday")
    ] = None,
    folder: FolderOption = "export",
    form: Annotated[Format, typer.Option("--format", help="Form of the files.")] = Format.jsonl,
    output: OutputOption = Output.text,
) -> None:
    """Write the receipts of a day to files: every record of the log once. Again: the same files with the same bytes.
    Beside them, as JSON lines, what the reports of that day say now."""
    from pushcast.audit.export import day_of, export_day, mark_whole
    from pushcast.audit.export_places import place_of
    from pushcast.audit.export_reports import export_reports_of_day
    from pushcast.cli.receipt_files import WRITERS

    now, settings = datetime.now(UTC), connect_by_user()
    wanted, place = day_of(day, now), place_of(folder)
    receipts = export_day(settings, wanted, place, WRITERS[form.value], form.value, lambda: now)
    reports = export_reports_of_day(settings, wanted, place)
    mark_whole(place, wanted)
    rows = [
        {"file": each.file, "rows": each.rows, "gone": each.gone, "unreadable": each.unreadable}
        for each in (*receipts, *reports)
    ]
    if output is Output.json:
        print_json(rows)
        return
    for row in rows:
        lost = f", {row['gone']} gone from Kafka" if row["gone"] else ""
        unread = f", {row['unreadable']} unreadable" if row["unreadable"] else ""
        typer.echo(f"{row['rows']:>9}  {row['file']}{lost}{unread}")
    counts = [
        counted(sum(each.rows for each in found), word) for found, word in ((receipts, "receipt"), (reports, "report"))
    ]
    say(f"{' and '.join(counts)} in {counted(len(rows), 'file')}")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help='Like "SELECT outcome, count(*) FROM receipts GROUP BY outcome".')],
    folder: FolderOption = "export",
    first: Annotated[str | None, typer.Option("--from", help="First day (UTC), like 2026-11-28.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day (UTC).")] = None,
    output: OutputOption = Output.text,
) -> None:
    """Ask exported receipts in SQL: the table `receipts` has the columns of the export. Needs no Kafka. SQLite answers
    of jsonl and csv, DuckDB (pushcast[sql]) of parquet."""
    from pushcast.audit.export_places import place_of
    from pushcast.audit.export_sql import asked, files_of, in_json
    from pushcast.cli.receipt_files import columns

    place = place_of(folder)
    with asked(place, files_of(place, first, last), columns(), query) as (names, rows):
        if output is Output.json:
            print_json([dict(zip(names, map(in_json, row), strict=True)) for row in rows])
            return
        typer.echo("\t".join(names))
        for row in rows:
            typer.echo("\t".join("" if value is None else str(value) for value in row))


def lines_of(report: dict[str, Any]) -> list[str]:
    """A report for people."""
    if "planned" not in report:
        return [f"{report['id']}: {_missing(report['missing_partitions'])}"]
    found = [
        f"{report['id']}  {report['kind']} of {report['app'] or 'all apps'}, class {report['class'] or '-'}",
        f"  {report['state']}: {report['planned']} planned, {report['open']} open, {report['held']} held",
    ]
    found += [f"  {count:>9} {outcome}" for outcome, count in report["outcomes"].items() if count]
    for platform, row in sorted(report["platforms"].items()):
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(row["reasons"].items()))
        found.append(f"  {platform}: {row['planned']} planned{f'; {reasons}' if reasons else ''}")
    found += [f"  {count:>9} not planned: {reason}" for reason, count in sorted(report["not_planned"].items())]
    for name, row in report.get("variants", {}).items():
        ends = ", ".join(f"{count} {outcome}" for outcome, count in row["outcomes"].items())
        found.append(f"  variant {name}: {row['planned']} planned{f'; {ends}' if ends else ''}; {row['opened']} opened")
    latency = report["latency_ms"]
    if latency["p50"] is not None:
        found.append(f"  accepted after {latency['p50']} ms (p50), {latency['p90']} (p90), {latency['p99']} (p99)")
    if (slo := report["slo"]) is not None and slo["met"] is not None:
        said = "met" if slo["met"] else "missed"
        found.append(
            f"  {slo['share']:.2%} in time: {said}, the goal is {slo['target']:.4g} within {slo['within_seconds']} s"
        )
    if not report["complete"]:
        found.append(f"  in part: {_missing(report['missing_partitions'])}")
    return found


def _missing(partitions: list[int]) -> str:
    return f"no reporter answers for partitions {', '.join(map(str, partitions))}"


def _say_missing(partitions: list[int]) -> None:
    if partitions:
        say(_missing(partitions))


def _ask(question: Callable[[Any], Awaitable[Any]]) -> Any:
    from pushcast.kafka.switchboard import read_whole
    from pushcast.report.coordinator import Coordinator
    from pushcast.report.fetch import Fetcher, read_token
    from pushcast.report.goal import goal_of
    from pushcast.wire.control.reporters import Reporters

    settings = connect_by_user()
    known = Reporters()
    read_whole(settings, topics.WHERE, known)
    token = read_token((settings.reports or Reports()).token_file)

    async def ask() -> Any:
        fetcher = Fetcher(token)
        try:
            places = known.urls, settings.kafka.partitions, fetcher, _now_ms, known.standbys
            return await question(Coordinator(*places, goal_of(settings)))
        finally:
            await fetcher.close()

    return asyncio.run(ask())


def _now_ms() -> int:
    return round(time.time() * 1000)
