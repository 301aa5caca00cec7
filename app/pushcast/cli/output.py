"""What every noun shares: `--output`, JSON on stdout, the settings, people's text on stderr."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer


class Output(StrEnum):
    """Form of standard output."""

    text = "text"
    json = "json"


OutputOption = Annotated[Output, typer.Option(help="Standard output as text or as JSON.")]


def print_json(value: Any) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for people, on stderr."""
    typer.echo(text, err=True)


def counted(count: int, noun: str) -> str:
    """`1 breaker`, `2 breakers`, `1,204 entries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
