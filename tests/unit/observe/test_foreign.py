"""Pages of figures that others serve: `console.processes` and `pushcast slo --at` may name any address."""

from __future__ import annotations

import pytest

from pushcast.console.figures import read_figures
from pushcast.console.watch import Process, Watch
from pushcast.observe.service_level import LevelFigures

#: Without a label, with a number that is none, and a line that ends the parser with an IndexError.
FOREIGN = (
    "pushcast_outcomes_total 5",
    'pushcast_accepted_seconds_bucket{le="0.5"} 3',
    'pushcast_assigned_partitions{group="g",topic="t"} +Inf',
    'pushcast_slo_planned_total{app="a",class="c"} +Inf',
    'pushcast_accepted_seconds_bucket{lane="urgent", ="0.5"} 3',
    "pushcast_slo_late_total 5",
)


@pytest.mark.parametrize("page", FOREIGN)
def test_whatever_is_wrong_with_a_page_it_is_a_value_error(page: str) -> None:
    for read in (read_figures, LevelFigures().read):
        try:
            read(page + "\n")
        except ValueError:
            continue


async def test_a_foreign_page_does_not_end_the_consoles_look_at_the_others() -> None:
    """The figures of the first page stood still from then on, and nothing said so."""
    pages = {f"http://{place}/metrics": page.encode() for place, page in enumerate(FOREIGN)}
    ours = b'pushcast_outcomes_total{outcome="accepted"} 5\n'

    async def fetch(url: str) -> tuple[int, bytes]:
        return 200, pages.get(url, ours)

    async def standing() -> dict[str, object]:
        return {}

    known = [Process("p", f"http://{place}", str(place)) for place in range(len(FOREIGN) + 1)]
    watch = Watch(lambda: known, fetch, standing, lambda: 0)
    await watch.look()
    assert watch.figures[str(len(FOREIGN))].outcomes == {"accepted": 5.0}
