"""`pushcast device forget|unregister|sweep`: how devices end."""

from __future__ import annotations

import time
from typing import Annotated, Any

import orjson
import typer

from pushcast.cli.output import Output, OutputOption, counted, print_json, say
from pushcast.cli.session import connect, connect_by_user, require_app
from pushcast.model.words import Platform
from pushcast.wire.times import rfc3339

DAY_MS = 86_400_000
#: How long a confirmation stands on the control topic; it holds for the passes of one day.
CONFIRMED_MS = 2 * DAY_MS


def forget(
    user: Annotated[str, typer.Argument(help="User id.")],
    output: OutputOption = Output.text,
) -> None:
    """Remove all devices of a user and what the user preferred; late events do not bring them back."""
    from pushcast.kafka.intake import IntakeProducer
    from pushcast.kafka.topics import load_topology
    from pushcast.wire import topics

    settings = connect_by_user()
    now_ms = _now_ms()
    with IntakeProducer(settings) as producer:
        producer.put(topics.DEVICE_CHANGED, user, orjson.dumps({"op": "forget_user", "at": now_ms}))
    retention_ms = max(
        int(topic.settings.get("retention.ms", 0))
        for topic in load_topology().topics
        if "user_id" in map(str, topic.family.personal_data)
    )
    told = {"user": user, "at": rfc3339(now_ms), "gone_everywhere_by": rfc3339(now_ms + retention_ms)}
    if output is Output.json:
        print_json(told)
    else:
        typer.echo(f"{user} is forgotten; Kafka holds nothing of this user from {told['gone_everywhere_by']} on")


def unregister(
    user: Annotated[str | None, typer.Option(help="Whose. Without it: whoever has the token.")] = None,
    app: Annotated[str, typer.Option(help="The app.")] = ...,  # type: ignore[assignment]
    device: Annotated[str | None, typer.Option(help="Device id, with --user.")] = None,
    platform: Annotated[Platform | None, typer.Option(help="Of the token.")] = None,
    token: Annotated[str | None, typer.Option(help="Token, as it was registered; - reads it from stdin.")] = None,
    output: OutputOption = Output.text,
) -> None:
    """Remove one device: of a user by its id or its token, or whoever has a token. Unknown ones are no error."""
    import sys

    if (device is None) is (token is None):
        raise typer.BadParameter("give --device, or --platform and --token")
    if device is not None and user is None:
        raise typer.BadParameter("--device needs --user")
    if token is not None and platform is None:
        raise typer.BadParameter("--token needs --platform")
    settings = connect_by_user()
    require_app(settings, app)
    if token == "-":  # noqa: S105 - stdin
        token = sys.stdin.read().strip()
    if user is None:
        assert platform is not None
        assert token is not None
        _retire(settings, app, platform, token)
    else:
        event = {"op": "unregister", "app": app, "device": device, "platform": platform, "token": token}
        _write(settings, user, {name: said for name, said in event.items() if said is not None})
    if output is Output.json:
        print_json({"app": app, "user": user, "device": device})
    else:
        typer.echo("written: whoever has the token loses it" if user is None else "written")


def sweep(
    confirm: Annotated[bool, typer.Option("--confirm", help="Let today's sweeps remove whatever they find.")] = False,
    output: OutputOption = Output.text,
) -> None:
    """Count what the registrars' sweeps would remove, or lift their brake for today (UTC). Exit 1 where it holds."""
    from pushcast.register.sweep import pass_of

    if confirm:
        from pushcast.kafka import switchboard
        from pushcast.wire.control.control import Halt, Kind, Name

        now_ms = _now_ms()
        settings, name = connect(), pass_of(now_ms)
        switchboard.write(settings, Name(Kind.SWEEP, name), Halt(since_ms=now_ms, remove_at=now_ms + CONFIRMED_MS))
        told: dict[str, Any] = {"confirmed": name}
        print_json(told) if output is Output.json else typer.echo(f"sweeps of {name} remove what they find")
        return
    _count(output)


def _count(output: Output) -> None:
    from pushcast.audit.device_rows import device_rows
    from pushcast.register.build import rules_of
    from pushcast.register.sweep import SweepTally

    settings = connect_by_user()
    rules, now_ms = rules_of(settings.sweep), _now_ms()
    tallies: dict[int, SweepTally] = {}
    for found in device_rows(settings):
        if found.row is not None:
            fate = rules.fate(found.row, now_ms)
            tallies.setdefault(found.partition, SweepTally()).add(found.row, fate, now_ms)
    partitions = [
        {
            "partition": number,
            "devices": tally.devices,
            "stale": tally.stale,
            "markers": tally.markers,
            "overdue": tally.overdue,
            "braked": tally.brakes(rules.max_share),
        }
        for number, tally in sorted(tallies.items())
    ]
    if output is Output.json:
        print_json(partitions)
    else:
        for each in partitions:
            stale = ", ".join(f"{count} {platform}" for platform, count in each["stale"].items()) or "none"  # type: ignore[attr-defined]
            brake = " (braked)" if each["braked"] else ""
            typer.echo(f"partition {each['partition']}: {each['devices']} devices, stale: {stale}{brake}")
        say(f"{counted(sum(each['markers'] for each in partitions), 'old marker')} to be removed")  # type: ignore[misc]
    if any(each["braked"] for each in partitions):
        raise typer.Exit(1)


def _write(settings: Any, user: str, event: dict[str, Any]) -> None:
    from pushcast.kafka.intake import IntakeProducer
    from pushcast.wire import topics
    from pushcast.wire.devices.devices import DeviceChangeDecoder

    now_ms = _now_ms()
    value = orjson.dumps({**event, "at": now_ms})
    DeviceChangeDecoder(settings.apps).decode(user, value, now_ms)  # refuses what would be a dead letter
    with IntakeProducer(settings) as producer:
        producer.put(topics.DEVICE_CHANGED, user, value)


def _retire(settings: Any, app: str, platform: Platform, token: str) -> None:
    """A claim by nobody, for OWN: it takes the token from whoever has it."""
    from pushcast.kafka.intake import IntakeProducer
    from pushcast.model.ids import token_hash
    from pushcast.model.ownership import NOBODY, Claim, Registration, Token
    from pushcast.stream.token_keys import read_keys
    from pushcast.wire import topics
    from pushcast.wire.devices.addresses import canonical_address
    from pushcast.wire.devices.ownership import encode_claims
    from pushcast.wire.sealing.keyring import KeyringRole

    _, address = canonical_address(platform, token, None, None)
    file = settings.sealing.keyring_file
    digest = token_hash(address) if file is None else read_keys(file, KeyringRole.REGISTRAR).hash(address)
    claim = Claim(Token(app, platform.value, digest), Registration(_now_ms(), NOBODY))
    with IntakeProducer(settings) as producer:
        producer.put_keyed(topics.TOKEN_CLAIM, digest, encode_claims([claim]))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
