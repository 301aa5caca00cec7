"""`python -m pushcast.bench.inexact PARENT run …`: a role without hand-over and ledger, to see what these cost."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pushcast.runtime import hosted
from pushcast.runtime.child import end_with_parent

#: What `runtime.hosted` puts PLAN and SEND together with, and the argument that makes them exact.
SWITCHED_OFF = {"PlanStage": "handover", "build_send": "ledgers"}


def inexact_command(*arguments: str) -> Sequence[str]:
    """Command line of a pushcast that ends with this process and may plan and send twice after a kill."""
    return [sys.executable, "-m", "pushcast.bench.inexact", str(os.getpid()), *arguments]


def without(make: Callable[..., Any], argument: str) -> Callable[..., Any]:
    """The same, given None for this argument. Raises TypeError when it is called without it."""

    def made(*arguments: Any, **named: Any) -> Any:
        if argument not in named:
            raise TypeError(f"{argument} is no argument of this call any more")
        return make(*arguments, **{**named, argument: None})

    return made


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    for name, argument in SWITCHED_OFF.items():
        setattr(hosted, name, without(getattr(hosted, name), argument))
    sys.argv = ["pushcast", *sys.argv[2:]]
    # by name: the benches lie below the command line
    runpy.run_module("pushcast", run_name="__main__", alter_sys=True)
