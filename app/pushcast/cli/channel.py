"""`pushcast channel create|show|list|delete|publish`: APNs broadcast channels of Live Activities."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pushcast.cli.output import Output, OutputOption, print_json
from pushcast.config.settings import load

if TYPE_CHECKING:
    from pushcast.providers.apns.channels import Channels

app = typer.Typer(name="channel", help="APNs broadcast channels of Live Activities.", no_args_is_help=True)

AppOption = Annotated[str, typer.Option("--app", help="App, as configured.")]
ChannelArgument = Annotated[str, typer.Argument(metavar="CHANNEL", help="Channel id, base64.")]
_T = TypeVar("_T")


def _with_channels(app_name: str, ask: Callable[[Channels], Awaitable[_T]]) -> _T:
    from pushcast.providers.registry import build_channels

    async def run() -> _T:
        channels = build_channels(app_name, load())
        try:
            return await ask(channels)
        finally:
            await channels.close()

    return asyncio.run(run())


def _show(output: Output, value: dict[str, Any], text: str) -> None:
    if output is Output.json:
        print_json(value)
    else:
        typer.echo(text)


@app.command()
def create(
    app_name: AppOption,
    store: Annotated[bool, typer.Option("--store", help="Keep the newest message for devices that are away.")] = False,
    output: OutputOption = Output.text,
) -> None:
    """Create a channel and print its id."""
    channel = _with_channels(app_name, lambda channels: channels.create(stores_newest=store))
    _show(output, {"channel": channel, "stores_newest": store}, channel)


@app.command()
def show(channel: ChannelArgument, app_name: AppOption, output: OutputOption = Output.text) -> None:
    """What APNs knows of a channel."""
    found = _with_channels(app_name, lambda channels: channels.read(channel))
    text = f"{found.id}  {'stores its newest message' if found.stores_newest else 'stores nothing'}"
    _show(output, {"channel": found.id, "stores_newest": found.stores_newest}, text)


@app.command("list")
def list_(app_name: AppOption, output: OutputOption = Output.text) -> None:
    """Ids of all channels."""
    every = _with_channels(app_name, lambda channels: channels.every())
    _show(output, {"channels": every}, "\n".join(every) or "no channels")


@app.command()
def delete(channel: ChannelArgument, app_name: AppOption, output: OutputOption = Output.text) -> None:
    """Delete a channel for good."""
    _with_channels(app_name, lambda channels: channels.delete(channel))
    _show(output, {"channel": channel, "deleted": True}, f"{channel} deleted")


@app.command()
def publish(
    channel: ChannelArgument,
    app_name: AppOption,
    content_state: Annotated[str, typer.Option(help="JSON object of the app's ContentState.")],
    event: Annotated[str, typer.Option(help="update or end.")] = "update",
    title: Annotated[str | None, typer.Option(help="Title of an alert.")] = None,
    body: Annotated[str | None, typer.Option(help="Text of an alert.")] = None,
    priority: Annotated[str, typer.Option(help="high or normal.")] = "high",
    expires_at: Annotated[
        str | None, typer.Option(help="RFC 3339; only for a channel that stores its newest message.")
    ] = None,
    output: OutputOption = Output.text,
) -> None:
    """Send an update to all devices that listen to a channel."""
    from pushcast.model.notification import LiveActivity
    from pushcast.wire.times import to_ms

    if event not in {"update", "end"}:
        raise typer.BadParameter(f"{event!r} is not update or end", param_hint="--event")
    if priority not in {"high", "normal"}:
        raise typer.BadParameter(f"{priority!r} is not high or normal", param_hint="--priority")
    activity = LiveActivity(event="end" if event == "end" else "update", content_state=content_state)
    alert = {name: text for name, text in (("title", title), ("body", body)) if text is not None}
    until = None if expires_at is None else to_ms(expires_at, "expires_at", 0)
    request_id = _with_channels(
        app_name,
        lambda channels: channels.publish(
            channel, activity, alert=alert, priority="high" if priority == "high" else "normal", expires_at=until
        ),
    )
    _show(output, {"channel": channel, "request_id": request_id}, request_id or "published")
