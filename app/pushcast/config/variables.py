"""What is wrong with `PUSHCAST_*` variables, in sentences. Values are not shown: they may be secrets. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from json import JSONDecodeError
from typing import Final

PREFIX: Final = "PUSHCAST_"
#: What Kubernetes puts into each pod of a namespace for a Service whose name begins with `pushcast`.
_OF_A_SERVICE: Final = re.compile(
    r"PUSHCAST_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_[0-9]+_[A-Z]+(_[A-Z]+)?)?)"
)


def unknown_variables(names: Iterable[str], sections: Collection[str]) -> list[str]:
    """A sentence for each of ours that names no section, in the order of the names."""
    return [
        f"{name}: there is no setting of this name; {_hint(name, section, sections)}"
        for name in sorted(names)
        if name.startswith(PREFIX) and (section := name.removeprefix(PREFIX).split("__")[0].lower()) not in sections
    ]


def _hint(name: str, section: str, sections: Collection[str]) -> str:
    if _OF_A_SERVICE.fullmatch(name):
        return "where Kubernetes made it of a Service, set enableServiceLinks: false in the pod"
    if within := next((each for each in sections if section.startswith(f"{each}_")), None):
        return f"between {within.upper()} and its key stand two underscores"
    near = get_close_matches(section, sections, 1)
    return f"did you mean {near[0].upper()}?" if near else f"sections are {', '.join(sorted(sections))}"


def unreadable_variable(error: Exception, environment: Mapping[str, str]) -> str:
    """The one whose text pydantic could not read. Its error names a section alone."""
    text = error.__cause__.doc if isinstance(error.__cause__, JSONDecodeError) else None
    names = [name for name, value in sorted(environment.items()) if name.startswith(PREFIX) and value == text]
    return f"{', '.join(names) or error}: is no JSON, as a section or a list must be"
