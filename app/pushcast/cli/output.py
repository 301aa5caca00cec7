"""What every noun shares: `--output`, JSON on stdout, the settings, people's text on stderr."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer

from pushcast.model.plural import counted as counted  # a part of how commands speak

#: Exit code: something differs from what it should be.
DRIFT = 3


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
