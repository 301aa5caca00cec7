"""`pushcast why`: did this user get that notification, and if not, why not?"""

from __future__ import annotations

from typing import Annotated

import typer

from pushcast.cli.output import Output, OutputOption, print_json, say
from pushcast.cli.session import connect_by_user


def why(
    notification: Annotated[str, typer.Argument(help="Id of the notification.")],
    user: Annotated[str, typer.Option(help="User id.")],
    device: Annotated[str | None, typer.Option(help="Only this device.", show_default="all of the user's")] = None,
    output: OutputOption = Output.text,
) -> None:
    """Tell in a sentence what became of a notification for a user, with the records that prove it.

    Reads one partition of each topic. Exit 1 when the topics know nothing of it.
    """
    from pushcast.audit.why import why as ask

    known, found = ask(connect_by_user(), user, notification, device)
    if output is Output.json:
        print_json(found)
    else:
        typer.echo(found["answer"])
        for row in found["evidence"]:
            typer.echo(f"  {row['at']}  {row['what']}  {row['topic']}/{row['partition']}/{row['offset']}")
        for hint in found["hints"]:
            typer.echo(f"  perhaps: {hint}")
        for trace in found["traces"]:
            typer.echo(f"  trace: {trace}")
        for topic, since in found["kept_since"].items():
            if since is not None:
                say(f"{topic}: what was before {since} is beyond its retention")
    if not known:
        raise typer.Exit(1)
