"""What KEEP holds of one partition while it owns it, over all its sources."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from pushcast.keep.broker_time import BrokerTime
from pushcast.keep.unbroken import Unbroken
from pushcast.keep.waiting import WaitingTimers
from pushcast.model.activity import USUAL_MS, Active
from pushcast.model.caps import Usage
from pushcast.model.forecast import Forecast
from pushcast.model.marks import Marks
from pushcast.model.pacing import Bucket
from pushcast.model.users_until import UsersUntil
from pushcast.stream.completions import Completions
from pushcast.stream.overlay import Overlay, OverlayEntry
from pushcast.stream.runner import Runner
from pushcast.stream.tenure import Pending
from pushcast.wire.control.control import CampaignCancel
from pushcast.wire.headers import Headers
from pushcast.wire.waiting.badge_rows import Badge
from pushcast.wire.waiting.digests import Head
from pushcast.wire.waiting.notices import ThreadsOff
from pushcast.wire.waiting.recallable import Recallable
from pushcast.wire.waiting.timers import Timer

#: What KEEP writes of a user.
Row = Timer | Head | Badge | Usage | Recallable
#: Key of a timer, and the write that opened it.
OpenedTimer = tuple[bytes, OverlayEntry[Row | bytes]]


class KeepTenure:
    """Rows in flight, records that wait for them, and timers that are being released."""

    def __init__(
        self,
        number: int,
        origin: Headers,
        overlay: Overlay[Row | bytes],
        runner: Callable[[KeepTenure], Runner],
        counter: Callable[[KeepTenure], Runner],
        ticker: Callable[[KeepTenure], Runner],
        recaller: Callable[[KeepTenure], Runner],
        reader: Callable[[KeepTenure], Runner],
        time: BrokerTime,
        now_ms: int,
    ) -> None:
        self.number = number  # of the partition
        self.origin = origin  # headers of every output of this partition and claim
        self.overlay = overlay  # of what is usual as it is written
        self.decided: dict[bytes, Usage] = {}  # what users have got, where no write says it yet
        self.ahead: dict[bytes, dict[bytes, bytes]] = {}  # timers in the table of users whose records are decided
        self.completions = Completions()
        self.unbroken = Unbroken()
        self.opened: list[OpenedTimer] = []  # urgent ones that are due, of the records that are being decided
        self.closed = False
        self.firing: set[bytes] = set()  # rows whose due record or whose closing is not acknowledged
        self.waiting = WaitingTimers()
        self.healed: dict[bytes, int] = {}  # offsets of void rows that were overwritten, by key
        self.pending = Pending()  # releases
        self.writes = 0  # rows so far: each has a tag of its own
        self.blocked: set[bytes] = set()  # timers that wait for the end of another one
        self.spent: dict[bytes, bytes] = {}  # entries of timers that left, by key, until the table knows that
        self.is_full = False  # as many are being released as may be: the end of one wakes
        self.news = asyncio.Event()  # rows were applied or acknowledged since somebody looked
        self.fired = 0  # timers that were let go
        self.looked_at_ms = 0  # by the broker, when nothing more was due
        self.buckets: dict[bytes, Bucket] = {}  # of rates, by queue
        self.forecast: Forecast | None = None  # once it was counted
        self.count_again_at = 0.0  # monotonic seconds
        self.time = time
        self.tzdata = ""  # the version by which due times of its timers were found
        self.forgotten = UsersUntil()
        self.moved = UsersUntil()  # what planners judged until then may be by the zones of before
        self.switched: OrderedDict[bytes, ThreadsOff] = OrderedDict()  # threads that are off, of users who changed that
        self.active = Active(known_from=now_ms + USUAL_MS)
        self.read = Marks()  # what users have read
        self.read_back_to = 0  # offset below which what they read is to be read once more; 0: nothing is
        self.read_back_at = 0.0  # monotonic seconds
        self.recalled: dict[str, CampaignCancel] = {}  # campaigns whose rows were looked through
        self.runner = runner(self)
        self.ticker = ticker(self)  # hears the time again
        self.recaller = recaller(self)  # ends cancelled campaigns
        self.reader = reader(self)  # reads once more what users have read
        self.counter = counter(self)  # makes the forecast

    @property
    def at_work(self) -> bool:
        """Whether something is under way that nobody waits for."""
        return any(each.running for each in (self.runner, self.ticker, self.recaller, self.reader, self.counter))

    def close(self) -> None:
        """Releases nothing any more: the next owner does."""
        self.closed = True
        self.runner.stop()
        self.counter.stop()
        self.ticker.stop()
        self.recaller.stop()
        self.reader.stop()
