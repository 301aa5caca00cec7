"""`pushcast device import|export|release|show|why|unregister|forget|sweep`."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from pushcast.cli import device_ends, device_files, device_out
from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect_by_user

app = typer.Typer(name="device", help="Devices of users.", no_args_is_help=True)
app.command("import")(device_files.import_)
for command in (
    *(device_out.export, device_out.release),
    *(device_ends.unregister, device_ends.forget, device_ends.sweep),
):
    app.command()(command)


@app.command()
def show(
    user: Annotated[str, typer.Argument(help="User id.")],
    output: OutputOption = Output.text,
) -> None:
    """Show the user's devices, read from the compacted topic; tokens by their hash only. Exit 1 when there are none."""
    from pushcast.kafka.intake import rows_of_user
    from pushcast.wire.devices.devices import shown

    rows = [shown(row) for row in rows_of_user(connect_by_user(), user)]
    if output is Output.json:
        print_json(rows)
    else:
        for row in rows:
            typer.echo(orjson.dumps(row, option=orjson.OPT_INDENT_2).decode())
        say(counted(len(rows), "device"))
    if not rows:
        raise typer.Exit(1)


@app.command()
def why(
    subject: Annotated[str, typer.Argument(help="A device id, or the hash of a token as `device show` has it.")],
    user: Annotated[str | None, typer.Option(help="Only this user's devices; reads one partition.")] = None,
    app: Annotated[str | None, typer.Option(help="Only devices of this app.")] = None,
    output: OutputOption = Output.text,
) -> None:
    """Tell why a device is, or is not, reached: its verdicts, suspensions, removals and registrations in order of time,
    and what waits for it in the keeper, why and until when.

    Exit 1 when the topics have nothing of it. No token is shown.
    """
    from pushcast.audit.device_history import history_of
    from pushcast.wire.times import rfc3339

    found = history_of(connect_by_user(), subject, user=user, app=app)
    if output is Output.json:
        print_json({"subject": subject, **found.to_dict()})
    else:
        for step in found.steps:
            what = f"{step.step:14} {step.reason or '':24} {'/'.join(step.device):40} {(step.token_hash or '')[:12]:12}"
            typer.echo(f"{rfc3339(step.at)}  {what}  {step.topic}/{step.partition}/{step.offset}")
        for wait in found.waits:
            typer.echo(f"{wait.user}/{wait.app}/{wait.device}: {wait.sentence()}")
        if found.left_out:
            say(f"left out: {counted(found.left_out, 'older step')}")
        for topic, since in found.kept_since.items():
            if since is not None:
                say(f"{topic}: what was before {rfc3339(since)} is beyond its retention")
        say("push.device.v1 is compacted: of rows that were replaced only those are shown that are still there")
        for reason, count in found.unreadable.items():
            say(f"{counted(count, 'record')} could not be read: {reason}")
    if not found.steps:
        say(f"nothing is known of {subject}")
        raise typer.Exit(1)
