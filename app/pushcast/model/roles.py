"""What a process can be, and what sets roles apart. Whoever adds a role enters it here; command line, topology and
layout of `run all` follow."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ProcessRole(StrEnum):
    """A role of our processes, in the order in which a process of several is named."""

    REGISTRAR = "registrar"
    PLANNER = "planner"
    SENDER = "sender"
    SETTLER = "settler"
    KEEPER = "keeper"
    REPORTER = "reporter"
    GATEWAY = "gateway"
    CONSOLE = "console"


#: They listen for programs and people, or call them. Each has a process of its own and runs where it is configured.
DOORS: Final = frozenset({ProcessRole.REPORTER, ProcessRole.GATEWAY, ProcessRole.CONSOLE})
#: Their work is by lane, and `run all` gives each lane a process: an urgent record never waits for a bulk one there.
BY_LANE: Final = frozenset({ProcessRole.PLANNER, ProcessRole.SENDER})
#: They have nothing to do where no platform is configured.
OF_PLATFORMS: Final = frozenset({ProcessRole.SENDER, ProcessRole.SETTLER})
