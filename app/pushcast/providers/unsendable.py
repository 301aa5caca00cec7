"""Why a message is refused before anything is sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason

P = ParamSpec("P")
R = TypeVar("R")
#: What a renderer raises on content that it does not know: a newer planner's word, an object too deep for its encoder.
_FAILURES = (TypeError, ValueError, LookupError, ArithmeticError, RecursionError)

logger = logging.getLogger(__name__)
_told: set[tuple[str, type[Exception]]] = set()


class Unsendable(InvalidInput):
    """This content cannot be sent to this platform: every target ends as rejected with `reason`."""


def render_or_refuse(render: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What `render` makes of a message. Raises Unsendable: what it refuses, and `unrenderable` when it fails, so that
    no message ends its sender. The first failure of each type leaves its traceback in the log."""
    try:
        return render(*args, **kwargs)
    except _FAILURES as error:
        kind = (render.__module__, type(error))
        if kind not in _told:
            _told.add(kind)
            logger.exception("%s failed on a message", render.__module__)
        raise Unsendable(
            Reason.UNRENDERABLE, f"the message cannot be rendered: {type(error).__name__}, a defect of Pushcast"
        ) from error
