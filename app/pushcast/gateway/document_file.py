"""docs/openapi.json: the document that every gateway of this release answers at `/openapi.json`."""

from __future__ import annotations

import sys
from typing import Any, cast

from pushcast.config.settings import Settings
from pushcast.gateway.build import calls, openapi
from pushcast.gateway.questions import Sources
from pushcast.wire.control.control_state import ControlState


def render() -> bytes:
    """It depends on no configuration: handlers are made, and none is called."""
    nothing = cast(Any, None)
    sources = Sources(*[nothing] * len(Sources._fields))
    found = calls(Settings.model_validate({"apps": {"news": {}}}), nothing, ControlState(), sources, list)
    return openapi(found)


if __name__ == "__main__":
    sys.stdout.buffer.write(render())
