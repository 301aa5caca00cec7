"""Web Push behind the port: a message is encrypted for each target and leaves for as many services as they use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from pushcast.http2.attended import within
from pushcast.http2.dial import Resolver, resolve
from pushcast.http2.errors import ConnectionFault
from pushcast.http2.leave import MayLeave, always
from pushcast.http2.pool_stats import PoolStats
from pushcast.http2.request import Outcomes
from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.own import OwnClass
from pushcast.model.words import Platform
from pushcast.providers.doubt import Doubt
from pushcast.providers.engines.engine import Columns, Engine
from pushcast.providers.expiry import ttl_seconds
from pushcast.providers.identity import CollapseBy
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.refusals import MessageRefusals
from pushcast.providers.suspicion import Suspicion
from pushcast.providers.unsendable import Unsendable, render_or_refuse
from pushcast.providers.verdict import Remedy
from pushcast.providers.webpush.credentials import Vapid
from pushcast.providers.webpush.encryptor import Encryptor
from pushcast.providers.webpush.endpoints import AddressRefused, EndpointPolicy, Origin
from pushcast.providers.webpush.host_watch import HostWatch
from pushcast.providers.webpush.message import Rendered, render
from pushcast.providers.webpush.origins import Origins
from pushcast.providers.webpush.pushes import (
    BrowserPush,
    answered,
    encrypted,
    message_id,
    same_for_all,
    sorted_by_service,
    why_unsent,
    without_late,
)
from pushcast.providers.webpush.replacing import Replacing, in_place_of
from pushcast.providers.webpush.taking_back import TakingBack
from pushcast.providers.webpush.templates import Templates
from pushcast.providers.webpush.verdicts import ACCEPTED_STATUSES, KEY_MISMATCH, judge

MAX_LISTED_ORIGINS: Final = 64
# Hosts that no operator named have a budget of their own: clients choose them, and they must not crowd out the others.
MAX_OTHER_ORIGINS: Final = 64

#: Told why a connection did not come to be or ended.
OnFault = Callable[[ConnectionFault], None]


class WebpushProvider:
    """One app's VAPID identity at every push service; see `pushcast.providers.port.Provider` for its promises.

    A dry run is answered here: what would be refused for its form is refused, the rest is accepted without a request.
    """

    platform = Platform.WEBPUSH

    def __init__(
        self,
        app: str,
        engine_name: str,
        vapid: Vapid,
        policy: EndpointPolicy,
        make_engine: Callable[[Origin, Resolver, OnFault], Engine],
        timeout_seconds: float,
        clock: Clock,
        *,
        resolver: Resolver = resolve,
        encryptor: Encryptor | None = None,
        suspicion: Suspicion | None = None,
        collapse_by: CollapseBy = "notification",
        replaces: bool = False,
    ) -> None:
        """`make_engine` gets the resolver that its connections must use, and who is to hear of their faults.
        `replaces`: removals replace what they take back."""
        self.app = app
        self.engine = engine_name
        self._vapid = vapid
        self._policy = policy
        self._resolve = resolver
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._refusals = MessageRefusals(clock)
        self._encryptor = encryptor or Encryptor()
        # With another VAPID key in the file every subscription is refused, and none is at fault.
        reasons = frozenset((KEY_MISMATCH.reason,))
        self._doubt = Doubt(app, self.platform, suspicion or Suspicion(), reasons, clock)
        self._hosts = HostWatch(clock)

        def make(origin: Origin) -> Engine:
            return make_engine(origin, policy.resolver(origin, resolver), partial(self._hosts.heard, origin.host))

        self._listed = Origins(make, MAX_LISTED_ORIGINS)
        self._others = Origins(make, MAX_OTHER_ORIGINS)
        self._templates = Templates()
        self._collapse_by = collapse_by
        self._replacing = Replacing(collapse_by) if replaces else None
        self._taking_back = TakingBack(
            vapid, policy, self._listed, timeout_seconds, clock, self._push, replaces=replaces
        )

    @property
    def slow(self) -> bool:
        """Any of the push services in use is."""
        return self._listed.slow or self._others.slow

    def tell_reached(self, told: Callable[[str], None]) -> None:
        """See `port.GivesUpHosts`."""
        self._hosts.on_reached = told

    def tag_of(self, message: Message, target: int) -> str | None:
        """See `port.Replaceable`."""
        return None if self._replacing is None else self._replacing.tag_of(message, target)

    def pools(self) -> list[PoolStats]:
        """One for each push service in use."""
        return [*self._listed.pools(), *self._others.pools()]

    @property
    def suspicious(self) -> bool:
        """Subscriptions are refused in such numbers that our VAPID key is to blame."""
        return self._doubt.suspicious

    async def start(self) -> None:
        """Connections open when the first push for their service is sent."""

    async def close(self) -> None:
        await self._listed.close()
        await self._others.close()
        await self._encryptor.close()

    async def send(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
    ) -> None:
        if message.klass == OwnClass.REMOVE:
            await self._taking_back.take_back(message, indices, on_results, may_leave)
        else:
            await self._push(message, indices, on_results, may_leave, None)

    async def _push(
        self,
        message: Message,
        indices: Sequence[int],
        on_results: OnResults,
        may_leave: MayLeave,
        replaced: str | None,
    ) -> None:
        """`replaced`: the tag of what this one takes the place of."""
        try:
            rendered = render_or_refuse(render, message)
            if replaced is not None:
                rendered = in_place_of(replaced, rendered)
        except Unsendable as refusal:
            on_results(self._refusals.results(refusal, message, indices))
            return
        plaintext = rendered.plaintext
        topics: Sequence[bytes | None] = [rendered.topic] * len(indices)
        if rendered.topic is None and self._replacing is not None:
            topics = self._replacing.topics_of(message, indices)
        by_origin, results = sorted_by_service(message, indices, plaintext, self._policy, self._collapse_by, topics)
        if message.options.dry_run:
            now = self._clock.now_ms()
            results += [
                Result(push.target, Disposition.ACCEPTED, sent_at=now, answered_at=now)
                for pushes in by_origin.values()
                for push in pushes
            ]
            by_origin = {}
        if results:
            on_results(results)
        sends = [
            self._send_to(origin, rendered, pushes, self._hosts.watching(origin.host, message, on_results), may_leave)
            for origin, pushes in by_origin.items()
        ]
        if len(sends) == 1:
            await sends[0]
        elif sends:
            async with asyncio.TaskGroup() as group:
                for send in sends:
                    group.create_task(send)

    async def _send_to(
        self,
        origin: Origin,
        rendered: Rendered,
        pushes: list[BrowserPush],
        on_results: OnResults,
        may_leave: MayLeave,
    ) -> None:
        origins = self._listed if origin.listed else self._others
        try:
            if not origin.listed:
                await self._looked_up(origin)
            async with asyncio.timeout(self._timeout_seconds):
                engine = await origins.acquire(origin)
        except AddressRefused as refusal:
            on_results(same_for_all(pushes, Disposition.REJECTED, refusal.reason))
            return
        except OSError as error:
            self._hosts.noted(origin.host, error)
            on_results(same_for_all(pushes, Disposition.UNSENT, why_unsent(error)))
            return
        try:
            again = await self._exchange(engine, origin, rendered, pushes, on_results, may_leave, last=False)
            if again:
                await self._exchange(engine, origin, rendered, again, on_results, may_leave, last=True)
        finally:
            origins.release(origin)

    async def _looked_up(self, origin: Origin) -> None:
        """Raises AddressRefused, or OSError for a name that does not resolve in time."""
        resolving = self._policy.resolver(origin, self._resolve)(origin.host, origin.port)
        try:
            await within(self._timeout_seconds, resolving)
        except TimeoutError as error:
            raise OSError(f"{origin.host} does not resolve in time") from error

    async def _exchange(
        self,
        engine: Engine,
        origin: Origin,
        rendered: Rendered,
        pushes: list[BrowserPush],
        on_results: OnResults,
        may_leave: MayLeave,
        *,
        last: bool,
    ) -> list[BrowserPush]:
        """Pushes to try once more with another VAPID token; the others had their results."""
        pushes, bodies = await encrypted(self._encryptor, pushes, on_results)
        sent_at = self._clock.now_ms()
        pushes, bodies = without_late(pushes, bodies, sent_at, on_results)
        if not pushes:
            return []
        audience = f"https://{origin.authority}"
        authorization = self._vapid.header(audience)
        template = self._templates.of(origin.authority, authorization, rendered.urgency)
        columns: Columns = [
            [push.subscription.path for push in pushes],
            [b"%d" % ttl_seconds(push.expires_at, sent_at) for push in pushes],
            [push.topic for push in pushes],
            bodies,
        ]
        again: list[BrowserPush] = []
        listed = origin.listed

        def on_outcomes(outcomes: Outcomes) -> None:
            now = self._clock.now_ms()
            results: list[Result] = []
            for position, response in outcomes:
                index = pushes[position].target
                if response.status in ACCEPTED_STATUSES:
                    name = message_id(response)
                    accepted = Disposition.ACCEPTED
                    results.append(Result(index, accepted, None, response.status, name, None, None, sent_at, now))
                    continue
                verdict = judge(response, now, listed=listed)
                if verdict.remedy is Remedy.REFRESH and not last and self._vapid.refused(audience, authorization):
                    again.append(pushes[position])
                    continue
                results.append(answered(index, verdict, response, sent_at, now))
            if results:
                # Services that nobody listed are their clients' own: their word makes nobody suspicious.
                on_results(self._doubt.applied(results) if listed else results)

        await engine.exchange(template, columns, len(pushes), self._timeout_seconds, on_outcomes, may_leave)
        return again
