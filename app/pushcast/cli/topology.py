"""`pushcast topology check|plan|apply|graph`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pushcast.cli.output import DRIFT, Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect
from pushcast.kafka.clients import client_config, open_admin
from pushcast.kafka.topics import TopicAction, TopicChange, access, cluster, load_topology
from pushcast.kafka.topics.graph import GRAPH_FILE, render
from pushcast.kafka.topics.policy import problems
from pushcast.resources import data_dir

app = typer.Typer(name="topology", help="The topics: files, cluster and what lies between.", no_args_is_help=True)


BootstrapServers = Annotated[
    str | None, typer.Option(help="Instead of kafka.bootstrap_servers of the configuration.", show_default=False)
]


@app.command()
def check(output: OutputOption = Output.text) -> None:
    """Check the files without a cluster: exit 2 when one is refused, 3 when they contradict schemas or graph."""
    topology = load_topology()
    schemas = (json.loads(file.read_text()) for file in data_dir("schemas").iterdir() if file.name.endswith(".avsc"))
    found = problems(topology, {schema["name"]: schema for schema in schemas})
    if not _graph_is_fresh():
        found.append(f"{GRAPH_FILE}: stale, write it again with `pushcast topology graph --write`")
    if output is Output.json:
        print_json({"topics": len(topology.topics), "problems": found})
    else:
        for problem in found:
            typer.echo(problem)
        typer.echo(f"{counted(len(topology.topics), 'topic')}, {counted(len(found), 'problem')}")
    if found:
        raise typer.Exit(DRIFT)


@app.command()
def plan(
    bootstrap_servers: BootstrapServers = None,
    delete: Annotated[bool, typer.Option("--delete", help="Show retired topics, too.")] = False,
    output: OutputOption = Output.text,
) -> None:
    """Show what apply would do and change nothing; exit 3 when the cluster differs."""
    kafka = connect(bootstrap_servers).kafka
    admin = open_admin(client_config(kafka.bootstrap_servers, kafka.security, tool=True))
    changes = cluster.plan(admin, load_topology(), kafka.partitions, kafka.replication_factor, delete=delete)
    _show(changes, output, done=False)
    if changes:
        raise typer.Exit(DRIFT)


@app.command()
def apply(
    bootstrap_servers: BootstrapServers = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete topics whose file says retired, with their records.")
    ] = False,
    output: OutputOption = Output.text,
) -> None:
    """Create and alter topics until the cluster is as the files say. Safe to repeat; deletes only with --delete."""
    kafka = connect(bootstrap_servers).kafka
    client = client_config(kafka.bootstrap_servers, kafka.security, tool=True)
    changes = cluster.apply(client, load_topology(), kafka.partitions, kafka.replication_factor, delete=delete)
    _show(changes, output, done=True)


@app.command()
def graph(
    write: Annotated[bool, typer.Option("--write", help=f"Write topology/{GRAPH_FILE} of the checkout.")] = False,
) -> None:
    """Draw the topics as Mermaid, on stdout or into the checkout."""
    page = render(load_topology())
    if not write:
        typer.echo(page, nl=False)
        return
    folder = data_dir("topology")
    if not isinstance(folder, Path) or folder.parent.name == "_data":
        raise typer.BadParameter("--write needs a checkout; this is an installed package")
    (folder / GRAPH_FILE).write_text(page, encoding="utf-8")
    operations = folder.parent / "docs" / "operations.md"
    operations.write_text(access.replace(operations.read_text(encoding="utf-8"), access.render(load_topology())))
    say(f"wrote {folder.name}/{GRAPH_FILE} and the table of access in docs/{operations.name}")


def _graph_is_fresh() -> bool:
    file = data_dir("topology") / GRAPH_FILE
    return file.is_file() and file.read_text(encoding="utf-8") == render(load_topology())


def _show(changes: list[TopicChange], output: Output, *, done: bool) -> None:
    if output is Output.json:
        print_json({"in_sync": done or not changes, "changes": [change.to_dict() for change in changes]})
        return
    for change in changes:
        typer.echo(_line(change))
    if not changes:
        typer.echo("the cluster is as the topology says")
    elif done:
        typer.echo(f"{counted(len(changes), 'change')} applied")


def _line(change: TopicChange) -> str:
    if change.action is TopicAction.CREATE:
        partitions, copies = (
            counted(change.partitions or 0, "partition"),
            counted(change.replication_factor or 0, "copy"),
        )
        return f"create {change.topic}: {partitions}, {copies}"
    if change.action is TopicAction.ALTER:
        settings = (
            f"{name} {setting.before} -> {setting.after or 'the default'}"
            for name, setting in sorted(change.settings.items())
        )
        return f"alter  {change.topic}: {', '.join(settings)}"
    return f"{change.action} {change.topic}: {change.reason}"
