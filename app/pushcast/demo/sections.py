"""The configuration of the demo beyond its apps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushcast.demo.timed import CAPS, CLASSES

PARTITIONS = 8
#: First line of a configuration that is written at each start, and may be replaced or removed.
WRITTEN = "# Written by Pushcast at each start: what you change here is lost.\n"
#: Share of the requests that the providers answer with a passing error, and how long their retries wait.
TRANSIENT_ERRORS = 0.01
RETRY_RUNGS_SECONDS = [1, 1, 2, 2]
#: How long a device that a provider called dead waits for its removal.
DEVICE_HOLD_SECONDS = 3
#: What the demo's `pushcast.yaml` has besides Kafka and the apps.
DEMO_SECTIONS: Mapping[str, Any] = {
    "classes": {
        "default": {"lane": "normal", "window_seconds": 0.05, "quiet": "ignore"},
        "breaking": {"lane": "bulk", "window_seconds": 0.1, "ttl_seconds": 3600, "quiet": "ignore"},
        "code": {"lane": "urgent", "window_seconds": 0, "ttl_seconds": 600},
        **CLASSES,
    },
    "caps": CAPS,
    "retry": {"rungs_seconds": RETRY_RUNGS_SECONDS},
    "devices": {"hold_seconds": DEVICE_HOLD_SECONDS},
}
