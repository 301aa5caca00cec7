"""Classes of the configuration as decoders need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from pushcast.model.own import OWN_TTL_SECONDS, OwnClass


class ClassRule(NamedTuple):
    """What decoding needs of a configured class. `ping_title`: its notifications are pings with this title."""

    ttl_ms: int
    ping_title: str | None = None


class Configured(Protocol):
    """`config.settings.Class`."""

    @property
    def ttl_seconds(self) -> int: ...
    @property
    def privacy(self) -> str: ...
    @property
    def generic_title(self) -> str | None: ...


def class_rules(classes: Mapping[str, Configured]) -> dict[str, ClassRule]:
    """By class name."""
    return {
        name: ClassRule(each.ttl_seconds * 1000, each.generic_title if each.privacy == "ping" else None)
        for name, each in classes.items()
    }


#: Of what Pushcast makes itself. Decoders of producers' events do without them.
OWN_RULES: Final[Mapping[str, ClassRule]] = {str(name): ClassRule(OWN_TTL_SECONDS * 1000) for name in OwnClass}
