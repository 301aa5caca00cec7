"""`python -m pushcast.bench.inexact PARENT run …`: a role without hand-over and ledger, to see what these cost."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from pushcast.handover.exact import Inexact
from pushcast.plan import stage as plan
from pushcast.runtime.child import end_with_parent
from pushcast.send import stage as send

#: What PLAN and SEND are put together with, where, the argument that makes them exact, and what stands for it here.
SWITCHED_OFF: Final[Sequence[tuple[ModuleType, str, str, object]]] = (
    (plan, "PlanStage", "exact", Inexact()),
    (send, "build", "exact", Inexact()),
)


def inexact_command(*arguments: str) -> Sequence[str]:
    """Command line of a pushcast that ends with this process and may plan and send twice after a kill."""
    return [sys.executable, "-m", "pushcast.bench.inexact", str(os.getpid()), *arguments]


def without(make: Callable[..., Any], argument: str, instead: object) -> Callable[..., Any]:
    """The same, given `instead` for this argument. Raises TypeError when it is called without it."""

    def made(*arguments: Any, **named: Any) -> Any:
        if argument not in named:
            raise TypeError(f"{argument} is no argument of this call any more")
        return make(*arguments, **{**named, argument: instead})

    return made


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    for module, name, argument, instead in SWITCHED_OFF:
        setattr(module, name, without(getattr(module, name), argument, instead))
    sys.argv = ["pushcast", *sys.argv[2:]]
    # by name: the benches lie below the command line
    runpy.run_module("pushcast", run_name="__main__", alter_sys=True)
