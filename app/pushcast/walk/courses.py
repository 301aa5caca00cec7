"""What orders become under one configuration: the broadcast of each, and its way through the rows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pushcast.config.quiet import app_times
from pushcast.config.rates import rates_of
from pushcast.config.settings import Settings
from pushcast.model.broadcast import Broadcast
from pushcast.model.pacing import Rated
from pushcast.model.quiet import Quiet, QuietRule
from pushcast.model.words import Lane
from pushcast.stream.capped import Limited
from pushcast.walk.course import NO_OPTING, Course, Opting
from pushcast.walk.errand import Errand
from pushcast.walk.holding import OrderGates
from pushcast.walk.legs import OrderWalk
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.orders import Order


class Courses:
    """Of one lane. `now_ms`: milliseconds since the epoch. `live`: rates by the control topic."""

    def __init__(
        self, settings: Settings, lane: Lane, now_ms: Callable[[], int], live: Mapping[str, Rated] | None = None
    ) -> None:
        self._settings = settings
        self._lane = lane
        self._now_ms = now_ms
        self.rates = rates_of(settings, live)
        self._decoder = BroadcastDecoder(settings.apps, class_rules(settings.classes))
        self._opting = {name: Opting(each.mandatory, each.opt_in) for name, each in settings.classes.items()}
        self._quiet = QuietRule(app_times(settings.apps), round(settings.keep.quiet_release_spread_seconds * 1000))
        self._limited = Limited(settings)
        self._counted = settings.counted_classes
        self._policies = {name: each.in_quiet_hours for name, each in settings.classes.items()}

    def reload(self, settings: Settings) -> None:
        """Broadcasts that come from now on go by these classes."""
        self._decoder.change(class_rules(settings.classes))

    def broadcast_of(self, order: Order) -> Broadcast:
        """Raises InvalidInput: who took it knew other apps or classes."""
        return self._decoder.decode_frozen(order.event, order.recorded_at)

    def of(self, walk: OrderWalk, order: Order, broadcast: Broadcast) -> Course:
        """The course of an order that is about its partition."""
        plan, klass, app = self._settings.plan, broadcast.note.klass, self._settings.apps.get(broadcast.app)
        make = Course if broadcast.via is None else Errand
        return make(
            self._lane,
            walk,
            order,
            broadcast,
            plan.max_targets,
            plan.max_batch_bytes,
            now_ms=self._now_ms,
            opting=self._opting.get(klass, NO_OPTING),
            holding=self._holding(walk.offset, order, broadcast),
            silent_channel=None if app is None else app.silent_channel_id,
            counted=klass in self._counted,
        )

    def _holding(self, offset: int, order: Order, broadcast: Broadcast) -> OrderGates | None:
        """None: it goes to nobody's devices, or nowhere."""
        if order.count_only or broadcast.via is not None:
            return None
        note = broadcast.note
        return OrderGates(
            broadcast,
            order,
            offset,
            self._now_ms,
            quiet=self._quiet,
            policy=self._policies.get(note.klass, Quiet.IGNORE),
            limited=self._limited,
            pace=self.rates.of(note.campaign, note.klass, note.app),
        )
