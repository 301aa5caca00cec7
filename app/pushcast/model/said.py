"""What the end of a process says about an error: one sentence and an exit code."""

from __future__ import annotations

import sys
from typing import Final

from pushcast.model.errors import ConfigurationError, PushcastError

#: By name: the clients are not imported for it. Whoever raised has done so.
_KAFKA_ERRORS: Final = (
    ("confluent_kafka", "KafkaException"),
    ("aiokafka.errors", "KafkaError"),
    ("pushcast.handover.reading", "TailUnreadable"),
)


def said(error: Exception) -> tuple[str, int] | None:
    """The sentence and the exit code: 2 what is refused, 1 what failed. None: nobody expects it, and its traceback is
    wanted."""
    if isinstance(error, ConfigurationError):
        return str(error), 2
    if isinstance(error, PushcastError):
        return str(error), 1
    sentence = of_kafka(error)
    return None if sentence is None else (sentence, 1)


def of_kafka(error: Exception) -> str | None:
    """What a Kafka client raised, as a sentence; None: it is none of theirs."""
    kinds = tuple(getattr(sys.modules[name], kind) for name, kind in _KAFKA_ERRORS if name in sys.modules)
    if not isinstance(error, kinds):
        return None
    told = error.args[0] if error.args else ""
    return f"Kafka: {told.str() if hasattr(told, 'str') else told or type(error).__name__}"
