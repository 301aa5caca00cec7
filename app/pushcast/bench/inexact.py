"""`python -m pushcast.bench.inexact PARENT run …`: a role without hand-over and ledger, to see what these cost."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence

from pushcast.runtime import hosted
from pushcast.runtime.child import end_with_parent

#: What `runtime.hosted` builds for PLAN and for SEND.
SWITCHED_OFF = ("build_handover", "build_ledgers")


def inexact_command(*arguments: str) -> Sequence[str]:
    """Command line of a pushcast that ends with this process and may plan and send twice after a kill."""
    return [sys.executable, "-m", "pushcast.bench.inexact", str(os.getpid()), *arguments]


def _nothing(*_: object, **__: object) -> None:
    return None


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    for name in SWITCHED_OFF:
        setattr(hosted, name, _nothing)
    sys.argv = ["pushcast", *sys.argv[2:]]
    # by name: the benches lie below the command line
    runpy.run_module("pushcast", run_name="__main__", alter_sys=True)
