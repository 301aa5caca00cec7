"""A PLAN stage with a keeper that is as simple as can be: it lets every part go at its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pushcast.config.classes import Class
from pushcast.handover.exact import Exactness, Inexact
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, token_hash, user_row_key
from pushcast.model.user import UserRow
from pushcast.model.words import Lane
from pushcast.stream.batch import TP, Batch
from pushcast.stream.tracker import Tracker
from pushcast.wire import topics
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.devices.user_rows import encode_user_row
from pushcast.wire.headers import origin
from pushcast.wire.waiting.held import Released, held_of, released_headers
from twins.kafka import OPEN, Produced, record, settled
from twins.plan import CLASSES, PlanHarness, note, users_of

(ANN,) = users_of(3, 1)
KEEP, DUE = topics.keep(Lane.NORMAL), topics.due(Lane.NORMAL)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def at(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%dT%H:%MZ")


class World:
    """A planner, and a keeper that is as simple as can be."""

    def __init__(
        self,
        now: str = "2026-12-20T00:00:00Z",
        exact: Exactness = Inexact(),  # noqa: B008 - immutable
        *,
        app: Mapping[str, Any] | None = None,
        spread_seconds: float = 0,
        **classes: Class,
    ) -> None:
        """`app`: settings of the app news."""
        self.harness = PlanHarness(
            exact=exact,
            classes=CLASSES | classes,
            apps={"news": dict(app or {})},
            keep={"quiet_release_spread_seconds": spread_seconds},
        )
        self.harness.clock.jump_wall((ms(now) - self.harness.clock.now_ms()) / 1000)
        self.tracker = Tracker(0, OPEN)
        self.released = 0
        self.arrived: dict[str, str] = {}  # device to when it was planned
        self.twice: Counter[str] = Counter()
        self.seen = 0

    def device(self, name: str, zone: str | None, registered_at: int = 1, app: str = "news", seen_at: int = 1) -> None:
        address, hashed = name.encode(), token_hash(name.encode())
        times = registered_at, seen_at
        row = DeviceRow(app, name, "apns", "token", address, "", hashed, "active", *times, time_zone=zone)
        self.harness.table.rows[3][device_row_key(ANN, app, name)] = encode_row(row)

    def wishes(self, app: str = "", **wishes: Any) -> None:
        """What the user wants: in all apps, or in one."""
        self.harness.table.rows[3][user_row_key(ANN, app)] = encode_user_row(UserRow(at=1, **wishes))

    async def send(self, number: int = 1, klass: str = "default", **fields: Any) -> None:
        event = note(number, **({"created_at": self.harness.now_ms, "class": klass} | fields))
        await self.harness.feed((ANN, event))
        await self._settle()

    async def send_locally(self, **fields: Any) -> None:
        await self.send(**({"deliver_local_at": "2026-12-24T09:00"} | fields))

    def move_to(self, instant: str) -> None:
        self.harness.clock.advance((ms(instant) - self.harness.now_ms) / 1000)

    @property
    def ends(self) -> list[tuple[str, str]]:
        """Outcome and reason of every receipt of the planner."""
        return [(each["outcome"], each["reason"]) for each in self.harness.receipts()]

    @property
    def reasons(self) -> list[str]:
        """Why notifications were planned to nothing, or held."""
        return [row[3] for row in self.harness.planned()]

    @property
    def kept(self) -> list[Produced]:
        return [each for each in self.harness.outbox.log if each.topic == KEEP]

    async def release(self, *, skew_seconds: float = 0.0, zoned: bool = False) -> None:
        """Lets the next part go at its time, by the keeper's clock. `zoned`: at once, because zones were changed."""
        sent = self.kept[self.released]
        held = held_of(sent.headers)
        wait = (held.due_at - self.harness.now_ms) / 1000 + skew_seconds
        if wait > 0 and not zoned:
            self.harness.clock.advance(wait)
        due_at = 0 if zoned else held.due_at
        let_go = Released(held.written_at, None, held.part, held.done, due_at, held.passed, zoned=zoned and held.zoned)
        headers = released_headers(origin("keep", 3, 1), "normal|0|k", let_go, "", None)
        due = record(DUE, 3, self.released, ANN.encode(), sent.value, headers, self.harness.now_ms)
        self.released += 1
        segment = self.tracker.hand_over([due], self.tracker.arrive([due]))
        await self.harness.stage.handle(Batch(TP(DUE, 3), self.tracker, segment, lambda: None))
        await self._settle()

    async def release_all(self) -> None:
        while self.released < len(self.kept):
            await self.release()

    async def _settle(self) -> None:
        await settled()
        await self.harness.acknowledge()
        now = datetime.fromtimestamp(self.harness.now_ms / 1000, UTC)
        batches = self.harness.batches()
        for batch in batches[self.seen :]:
            for part in batch.messages:
                for name in part.targets.device:
                    self.twice[name] += 1
                    self.arrived[name] = now.strftime("%dT%H:%MZ")
        self.seen = len(batches)
