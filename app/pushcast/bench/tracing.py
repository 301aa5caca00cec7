"""`bench tracing`: the SEND stage with `observe.tracing`, in turn with the same without. No event is sampled."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from pushcast.bench import stage_send
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import bench_cluster, role
from pushcast.bench.configured import compared, order, summed
from pushcast.simulators.configuration import provider_settings

ITEMS: Final = 100_000
#: The interval of twelve ratios leaves out the three most extreme ones of each side.
ROUNDS: Final = 12
OFF, ON = "tracing/off", "tracing/on"
#: Of an event whose producer traces it, and samples it not.
NOT_SAMPLED: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
_VARIABLE: Final = "PUSHCAST_OBSERVE__TRACING"


def run(options: Options) -> Result:
    """Rows of `stage/apns`, over all rounds: each round has both in turn, in a process of their own. `setup.beside_off`
    says what a push cost with tracing beside one without. Every event has a `traceparent` whose flag is 00."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {"rounds": ROUNDS, "items_each": items}
    found: defaultdict[str, list[Row]] = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-")))
        sim = stack.enter_context(stage_send.simulator(folder))
        configuration = {"apps": {"news": {"apns": provider_settings(sim)}}}
        cluster = stack.enter_context(bench_cluster(options, configuration))
        for number in range(ROUNDS):
            for name in order((OFF, ON), number):
                options.say(f"{name}: round {number + 1} of {ROUNDS}")
                arguments = ("sender", "--platform", "apns", "--lane", "bulk", "--slot", "b")
                with _switched(name == ON), role(cluster, *arguments) as process:
                    warm = min(items, stage_send.WARM_UP_ITEMS)
                    stage_send.load(cluster, process, warm, False, trace=NOT_SAMPLED)
                    row = stage_send.measured(
                        cluster, process, sim, name, items, options, False, None, trace=NOT_SAMPLED
                    )
                    found[name].append(row)
    setup["beside_off"] = compared(found[ON], found[OFF])
    return Result([summed(name, rows) for name, rows in found.items()], setup)


@contextmanager
def _switched(on: bool) -> Iterator[None]:
    """Roles that are started in the block have it so."""
    os.environ[_VARIABLE] = "true" if on else "false"
    try:
        yield
    finally:
        del os.environ[_VARIABLE]
