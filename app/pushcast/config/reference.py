"""docs/configuration.md from the settings tree: `python -m pushcast.config.reference > docs/configuration.md`.

Each key with its default and its limits; what stands beside a key in the source is its description.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pushcast.config.settings import Settings

HEAD = """# Configuration

Generated from the settings tree by `python -m pushcast.config.reference`; do not edit.

Pushcast reads `pushcast.yaml`, or the file that `PUSHCAST_CONFIG` names. An environment variable
`PUSHCAST_SECTION__KEY` stands above the file, as in `PUSHCAST_KAFKA__BOOTSTRAP_SERVERS`. Unknown keys and variables are
refused at start. `pushcast config check` finds every fault at once, `pushcast config show` prints what is in force.
Durations take seconds or a text such as `10m`.
"""
_LIMITS = {"gt": "above {}", "ge": "at least {}", "lt": "below {}", "le": "at most {}"}


def render() -> str:
    """The whole page."""
    return HEAD + "".join(_section("", Settings)) + "\n"


def _section(path: str, model: type[BaseModel]) -> Iterator[str]:
    rows: list[str] = []
    below: list[tuple[str, type[BaseModel]]] = []
    beside = _comments(model)
    for name, field in model.model_fields.items():
        key, inner = _inside(f"{path}{name}", field.annotation)
        if inner is not None:
            below.append((key, inner))
        else:
            rows.append(f"| `{key}` | {_default(field)} | {_limits(field)} | {beside.get(name, '')} |")
    if rows:
        yield f"\n## {path.rstrip('.') or 'The file itself'}\n\n"
        if path and model.__doc__:
            yield f"{inspect.cleandoc(model.__doc__)}\n\n"
        yield "| key | default | values | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    for key, inner in below:
        yield from _section(f"{key}.", inner)


def _inside(key: str, annotation: Any) -> tuple[str, type[BaseModel] | None]:
    """The key of what lies in a section, and its model; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return key, annotation
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return _inside(f"{key}.<name>", arguments[1])
    if get_origin(annotation) in (Union, UnionType):
        models = [_inside(key, each) for each in arguments if each is not NoneType]
        return next((each for each in models if each[1] is not None), (key, None))
    return key, None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return "`[" + ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value) + "]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _limits(field: FieldInfo) -> str:
    words = [
        text.format(f"{limit:g}" if isinstance(limit, float) else limit)
        for each in field.metadata
        for name, text in _LIMITS.items()
        if (limit := getattr(each, name, None)) is not None
    ]
    return ", ".join(words) or _kind(field.annotation)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        return ", ".join(_kind(each) for each in get_args(annotation) if each is not NoneType)
    words = {str: "text", Path: "a path", bool: "`true`, `false`", int: "a whole number", float: "a number"}
    return words.get(annotation, "a list" if get_origin(annotation) in (list, tuple) else "text")


def _comments(model: type[BaseModel]) -> dict[str, str]:
    """By field, inherited ones too: the comment in its lines, or those right above it."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            found |= _own_comments(dedent(inspect.getsource(each)).splitlines())
    return found


def _own_comments(lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    above: list[str] = []
    name, depth = "", 0  # of a field whose default goes over several lines
    for line in lines:
        text = line.strip()
        if text.startswith("#") and not depth:
            above.append(text.lstrip("#: "))
            continue
        code, mark, end = line.partition("  # ")
        if not depth:
            match = re.match(r"    (\w+): ", line)
            name = match[1] if match else ""
        if name:
            told = end if mark else " ".join(above)
            if told and name not in found:
                found[name] = (told[:1].upper() + told[1:]).replace("|", "\\|")
            depth += sum(code.count(each) for each in "([{") - sum(code.count(each) for each in ")]}")
        above = []
    return found


if __name__ == "__main__":
    print(render(), end="")
