"""Pages of figures that others serve: another release's, another program's, or half of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def page_of_figures() -> Iterator[None]:
    """Raises ValueError for whatever is wrong with a page: a sample without a label that it should have, a number that
    is none, a line that ends the parser of prometheus_client with an IndexError."""
    try:
        yield
    except (LookupError, OverflowError) as error:
        raise ValueError(f"no page of figures: {error!r}") from error
