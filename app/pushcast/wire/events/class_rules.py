"""Classes of the configuration as decoders need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, Protocol

from pushcast.model.errors import InvalidInput
from pushcast.model.own import OWN_TTL_SECONDS, OwnClass
from pushcast.model.sealing import Sealing
from pushcast.model.words import Reason


class ClassRule(NamedTuple):
    """What decoding needs of a configured class. `ping_title`: its notifications are pings with this title."""

    ttl_ms: int
    ping_title: str | None = None
    unless_read_seconds: int = 0  # of events that say nothing of it
    may_override: frozenset[str] = frozenset()  # gates that its notifications pass when they ask for it
    gathers: bool = False  # its notifications leave together
    sealing: Sealing | None = None  # its contents are for the devices alone
    tracked: bool = False  # apps are told the ids of its notifications
    gated: bool = False  # the keeper is asked whether each of its notifications was read
    removable: bool = False  # its notifications say when they were made, so that an app tells old from new


class Configured(Protocol):
    """`config.settings.Class`."""

    @property
    def ttl_seconds(self) -> int: ...
    @property
    def privacy(self) -> str: ...
    @property
    def generic_title(self) -> str | None: ...
    @property
    def sealing(self) -> Sealing | None: ...
    @property
    def may_override(self) -> Sequence[str]: ...
    @property
    def digest(self) -> object | None: ...
    @property
    def read_gate(self) -> bool: ...
    @property
    def engagement(self) -> bool: ...
    @property
    def unless_read_seconds(self) -> int: ...
    @property
    def removable(self) -> bool: ...


def class_rules(classes: Mapping[str, Configured]) -> dict[str, ClassRule]:
    """By class name."""
    return {
        name: ClassRule(
            each.ttl_seconds * 1000,
            each.generic_title if each.privacy == "ping" else None,
            each.unless_read_seconds,
            frozenset(each.may_override),
            each.digest is not None,
            each.sealing,
            each.engagement,
            each.read_gate,
            each.removable,
        )
        for name, each in classes.items()
    }


#: Of what Pushcast makes itself. Decoders of producers' events do without them.
OWN_RULES: Final[Mapping[str, ClassRule]] = {str(name): ClassRule(OWN_TTL_SECONDS * 1000) for name in OwnClass}


def overrides_of(asked: tuple[str, ...], klass: str, allowed: AbstractSet[str]) -> tuple[str, ...]:
    """Gates that an event passes. Raises InvalidInput: not all producers can be urgent."""
    refused = sorted(set(asked) - allowed)
    if refused:
        raise InvalidInput(
            Reason.INVALID_FIELD,
            f"options.override: class {klass} does not allow {refused[0][:64]!r} (classes.{klass}.may_override)",
            "options.override",
        )
    return asked
