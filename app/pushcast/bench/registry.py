"""Names of the benchmarks, and where each is. A module is imported when its benchmark is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from pushcast.bench.base import Options, Result


class Entry(NamedTuple):
    """`module` has a function `run(options: Options) -> Result`."""

    module: str
    summary: str


BENCHES = {
    "devices": Entry("pushcast.bench.devices", "Registrations through the registrar, rows acknowledged."),
}


def run(name: str, options: Options) -> Result:
    """Runs a benchmark by name; blocks for its whole time. Raises KeyError for an unknown one."""
    result: Result = import_module(BENCHES[name].module).run(options)
    return result
