"""What is wrong with a configuration, key by key, in sentences. Values are not shown: they may be secrets. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

_TYPES = {
    "missing": "is missing",
    "model_type": "must hold keys of its own",
    "dict_type": "must hold keys of its own",
    "float_parsing": "is no number; a duration is seconds, or like 10s, 5m, 2h, 1d",
    "string_type": "must be text (put it in quotes)",
}


def sentences(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One for each wrong key, `path: what is wrong`."""
    return [
        _sentence(tuple(each["loc"]), each["type"], each["msg"], root) for each in error.errors(include_input=False)
    ]


def _sentence(path: tuple[int | str, ...], kind: str, message: str, root: type[BaseModel]) -> str:
    name = ".".join(map(str, path)) or "the configuration"
    if kind == "extra_forbidden":
        known = keys_at(root, path[:-1])
        near = get_close_matches(str(path[-1]), known, 1)
        hint = f"did you mean {near[0]}?" if near else f"keys here are {', '.join(known)}"
        return f"{name}: unknown key; {hint}"
    if kind == "missing" and path and isinstance(path[-1], int):
        return (
            f"{'.'.join(map(str, path[:-1]))}: has fewer entries than it must have ({message.lower()}: {path[-1] + 1})"
        )
    text = _TYPES.get(kind) or message.removeprefix("Value error, ").replace("String should have", "must have")
    return f"{name}: {text}"


def keys_at(root: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Keys that the settings have at this path; none where there is no section."""
    here: Any = root
    for step in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(step))
            here = None if field is None else _section(field.annotation)
        elif get_origin(here) is dict:
            here = _section(get_args(here)[1])
        else:
            return []
    return sorted(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _section(annotation: Any) -> Any:
    """The model or mapping within `X | None`."""
    if get_origin(annotation) in (Union, UnionType):
        return next((each for each in get_args(annotation) if each is not type(None)), None)
    return annotation
