"""Faust's recovery of tables, which waits for a Kafka that is not well instead of ending for ever, or too early."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, cast

from aiokafka.errors import IllegalStateError, KafkaError
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

from pushcast.stream.assignment import boottime_seconds
from pushcast.transport.waits import Waits

logger = logging.getLogger(__name__)

#: From an attempt that failed to the next one.
AGAIN_SECONDS: Final = 2.0


class PatientRecovery(Recovery):
    """Of one App. Every assignment comes by here, also one without a table: it starts the partitions at its end.

    Faust takes an answer that is late for the order to stop: then nothing of this and of any later assignment is ever
    started, and the member goes on with its heartbeats. An error of Kafka crashes the App. Here both begin anew.
    """

    #: For Faust's own lines, which tell its authors something; by this class's module they would be ours.
    logger = logging.getLogger("faust.patient_recovery")

    def _set_recovery_started(self) -> None:
        """Begins without the end of the recovery before, which stands for up to five seconds: it would be taken for
        this one's, and stages would look into a table of which nothing was read yet."""
        self.signal_recovery_end.clear()
        super()._set_recovery_started()

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        begins: Any = self.signal_recovery_start
        try:
            result = await self.wait_first(coro, begins, timeout=timeout)
        except IllegalStateError:
            raise  # another rebalance has begun, which comes here again
        except (KafkaError, OSError) as error:
            await self._begin_again(error)
        if begins in result.done:
            raise RebalanceAgain
        if result.stopped:
            if self.should_stop:
                raise ServiceStopped
            await self._begin_again(TimeoutError(f"no answer within {timeout} s"))

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Tables are up to date: starts the partitions."""
        await super().on_recovery_completed(generation_id)
        self._waits.over(self)

    async def _resume_streams(self, generation_id: int = 0) -> None:
        await super()._resume_streams(generation_id)
        self._waits.over(self)

    @property
    def _waits(self) -> Waits:
        consumer: Any = self.app.consumer
        return cast(Waits, consumer.waits)

    async def _begin_again(self, error: Exception) -> None:
        """In a while, or with the next assignment. Raises RebalanceAgain, or ServiceStopped."""
        self._waits.failed(self, error, boottime_seconds())
        logger.warning("assigned partitions cannot be started now, again in %.1f s: %r", AGAIN_SECONDS, error)
        await self.wait_first(asyncio.sleep(AGAIN_SECONDS), self.signal_recovery_start)  # type: ignore[arg-type]
        if self.should_stop:
            raise ServiceStopped from error
        self.signal_recovery_start.set()
        raise RebalanceAgain from error
