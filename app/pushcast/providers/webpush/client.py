"""Web Push behind the port: a message is encrypted for each target and leaves for as many services as they use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from pushcast.http2.attended import within
from pushcast.http2.dial import Resolver, resolve
from pushcast.http2.errors import ConnectionFault
from pushcast.http2.leave import MayLeave, always
from pushcast.http2.pool_stats import PoolStats
from pushcast.http2.request import Outcomes, Response
from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.own import OwnClass
from pushcast.model.recalls import messages_of
from pushcast.model.words import Platform, Reason
from pushcast.providers.doubt import Doubt
from pushcast.providers.engines.engine import Columns, Engine
from pushcast.providers.expiry import NOW_OR_NEVER, expiries, ttl_seconds
from pushcast.providers.identity import CollapseBy, filled
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.suspicion import Suspicion
from pushcast.providers.unsendable import Unsendable, render_or_refuse
from pushcast.providers.verdict import NOT_SENT_IN_TIME, Remedy, Verdict
from pushcast.providers.webpush.credentials import Vapid
from pushcast.providers.webpush.encryptor import Encryptor
from pushcast.providers.webpush.endpoints import AddressRefused, EndpointPolicy, Origin
from pushcast.providers.webpush.message import Rendered, render
from pushcast.providers.webpush.origins import Origins
from pushcast.providers.webpush.recalls import deletes, template_of
from pushcast.providers.webpush.recalls import judge as judge_recall
from pushcast.providers.webpush.subscription import BrowserSubscription, EndpointForbidden, Malformed, parse
from pushcast.providers.webpush.templates import Templates
from pushcast.providers.webpush.unreachable import REASON as UNREACHABLE
from pushcast.providers.webpush.unreachable import UnreachableHosts, is_definite
from pushcast.providers.webpush.verdicts import ACCEPTED_STATUSES, KEY_MISMATCH, judge

MAX_LISTED_ORIGINS: Final = 64
# Hosts that no operator named have a budget of their own: clients choose them, and they must not crowd out the others.
MAX_OTHER_ORIGINS: Final = 64
_SUBSCRIPTION_KIND: Final = 2
_MAX_ID_CHARS: Final = 512  # Mozilla's are sealed texts of some 200


#: Told why a connection did not come to be or ended.
OnFault = Callable[[ConnectionFault], None]


def _nobody(host: str) -> None:
    """Hears of hosts in a process that does not announce them (a benchmark, a test)."""


class _Push(NamedTuple):
    target: int  # index into message.targets
    subscription: BrowserSubscription
    expires_at: int  # milliseconds since the epoch, or NOW_OR_NEVER
    plaintext: bytes


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
    ) -> None:
        """`make_engine` gets the resolver that its connections must use, and who is to hear of their faults."""
        self.app = app
        self.engine = engine_name
        self._vapid = vapid
        self._policy = policy
        self._resolve = resolver
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._encryptor = encryptor or Encryptor()
        # With another VAPID key in the file every subscription is refused, and none is at fault.
        reasons = frozenset((KEY_MISMATCH.reason,))
        self._doubt = Doubt(app, self.platform, suspicion or Suspicion(), reasons, clock)

        def make(origin: Origin) -> Engine:
            return make_engine(origin, policy.resolver(origin, resolver), partial(self._heard, origin.host))

        self._listed = Origins(make, MAX_LISTED_ORIGINS)
        self._others = Origins(make, MAX_OTHER_ORIGINS)
        self._templates = Templates()
        self._collapse_by = collapse_by
        self._unreachable = UnreachableHosts()
        self._on_reached: Callable[[str], None] = _nobody

    @property
    def slow(self) -> bool:
        """Any of the push services in use is."""
        return self._listed.slow or self._others.slow

    def tell_reached(self, told: Callable[[str], None]) -> None:
        """See `port.GivesUpHosts`."""
        self._on_reached = told

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
            indices = await self._recalled(message, indices, on_results, may_leave)
            if not indices:
                return
        try:
            rendered = render_or_refuse(render, message)
        except Unsendable as refusal:
            on_results([Result(index, Disposition.REJECTED, refusal.reason) for index in indices])
            return
        by_origin, results = self._sorted(message, indices, rendered.plaintext)
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
            self._send_to(origin, rendered, pushes, self._watching(origin.host, message, on_results), may_leave)
            for origin, pushes in by_origin.items()
        ]
        if len(sends) == 1:
            await sends[0]
        elif sends:
            async with asyncio.TaskGroup() as group:
                for send in sends:
                    group.create_task(send)

    async def _recalled(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave
    ) -> list[int]:
        """Deletes at their services what these targets have not got yet. Returns those that get the removal itself:
        whose app shows it, and for whom nothing is known to wait."""
        left: list[int] = []
        results: list[Result] = []
        wanted: dict[Origin, list[tuple[int, str]]] = {}
        for index in indices:
            names = messages_of(message.content.platforms, message.targets.device[index])
            origin = self._deleting(message, index) if names else None
            if not names:
                left.append(index)
            elif origin is None:
                results.append(Result(index, Disposition.REJECTED, "not_recallable"))
            else:
                wanted.setdefault(origin, []).extend((index, name) for name in names)
        verdicts: dict[int, tuple[Verdict, int | None]] = {}
        for origin, pairs in wanted.items():
            await self._delete(origin, pairs, verdicts, may_leave)
        now = self._clock.now_ms()
        for index, (verdict, status) in verdicts.items():
            after = verdict.retry_after_seconds
            results.append(Result(index, verdict.disposition, verdict.reason, status, None, None, after, now, now))
        if results:
            on_results(results)
        return left

    def _deleting(self, message: Message, index: int) -> Origin | None:
        """The service of a target, where it deletes undelivered messages."""
        try:
            origin = self._policy.origin(parse(message.targets.address[index]).authority)
        except (Malformed, EndpointForbidden):
            return None
        return origin if origin is not None and origin.listed and deletes(origin.host) else None

    async def _delete(
        self,
        origin: Origin,
        pairs: list[tuple[int, str]],
        verdicts: dict[int, tuple[Verdict, int | None]],
        may_leave: MayLeave,
    ) -> None:
        """Of a target with several messages, the verdict that is no success counts."""

        def note(outcomes: Outcomes) -> None:
            for position, response in outcomes:
                verdict = judge_recall(response)
                index = pairs[position][0]
                if verdict.disposition is not Disposition.ACCEPTED or index not in verdicts:
                    verdicts[index] = verdict, response.status or None

        try:
            async with asyncio.timeout(self._timeout_seconds):
                engine = await self._listed.acquire(origin)
        except OSError as error:
            unsent = Verdict(Disposition.UNSENT, _why_unsent(error))
            verdicts.update((index, (unsent, None)) for index, _ in pairs)
            return
        try:
            authorization = self._vapid.header(f"https://{origin.authority}")
            columns: Columns = [[name.encode() for _, name in pairs]]
            template = template_of(origin.authority, authorization)
            await engine.exchange(template, columns, len(pairs), self._timeout_seconds, note, may_leave)
        finally:
            self._listed.release(origin)

    def _sorted(
        self, message: Message, indices: Sequence[int], plaintext: bytes
    ) -> tuple[dict[Origin, list[_Push]], list[Result]]:
        """Pushes by service, and results of the targets that have none."""
        targets = message.targets
        addresses, kinds, expires_at = targets.address, targets.kind, expiries(message)
        by_origin: dict[Origin, list[_Push]] = {}
        results: list[Result] = []
        for index, own in zip(indices, filled(plaintext, message, indices, self._collapse_by), strict=True):
            try:
                if kinds[index] != _SUBSCRIPTION_KIND:
                    raise Malformed
                subscription = parse(addresses[index])
                origin = self._policy.origin(subscription.authority)
                if origin is None:
                    raise EndpointForbidden
            except Malformed:
                results.append(Result(index, Disposition.INVALID, str(Reason.TOKEN_MALFORMED)))
            except EndpointForbidden:
                results.append(Result(index, Disposition.REJECTED, AddressRefused.reason))
            else:
                push = _Push(index, subscription, expires_at[index], own)
                by_origin.setdefault(origin, []).append(push)
        return by_origin, results

    async def _send_to(
        self,
        origin: Origin,
        rendered: Rendered,
        pushes: list[_Push],
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
            on_results(_all(pushes, Disposition.REJECTED, refusal.reason))
            return
        except OSError as error:
            self._noted(origin.host, error)
            on_results(_all(pushes, Disposition.UNSENT, _why_unsent(error)))
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

    def _watching(self, host: str, message: Message, on_results: OnResults) -> OnResults:
        """`on_results` behind a look at what the results say of the host: when no push will ever reach it, the
        subscription is as dead as one that its service has forgotten."""
        notifications, ids = message.targets.notification, message.notification_ids

        def watching(results: list[Result]) -> None:
            now = self._clock.monotonic_seconds()
            for position, (target, disposition, reason, status, *_) in enumerate(results):
                if status is not None:
                    if self._unreachable.answered(host, now):
                        self._on_reached(host)
                    break
                if (
                    disposition is Disposition.UNSENT
                    and reason == Reason.CONNECTION_FAILED
                    and self._unreachable.failed(host, ids[notifications[target]], now)
                ):
                    at = self._clock.now_ms()
                    results[position] = Result(target, Disposition.INVALID, UNREACHABLE, sent_at=at, answered_at=at)
            on_results(results)

        return watching

    def _heard(self, host: str, fault: ConnectionFault) -> None:
        self._noted(host, fault.__cause__)

    def _noted(self, host: str, error: BaseException | None) -> None:
        if is_definite(error):
            self._unreachable.refused(host, self._clock.monotonic_seconds())

    async def _exchange(
        self,
        engine: Engine,
        origin: Origin,
        rendered: Rendered,
        pushes: list[_Push],
        on_results: OnResults,
        may_leave: MayLeave,
        *,
        last: bool,
    ) -> list[_Push]:
        """Pushes to try once more with another VAPID token; the others had their results."""
        pushes, bodies = await self._encrypted(pushes, on_results)
        sent_at = self._clock.now_ms()
        pushes, bodies = _without_late(pushes, bodies, sent_at, on_results)
        if not pushes:
            return []
        audience = f"https://{origin.authority}"
        authorization = self._vapid.header(audience)
        template = self._templates.of(origin.authority, authorization, rendered.urgency)
        columns: Columns = [
            [push.subscription.path for push in pushes],
            [b"%d" % ttl_seconds(push.expires_at, sent_at) for push in pushes],
            [rendered.topic] * len(pushes),
            bodies,
        ]
        again: list[_Push] = []
        listed = origin.listed

        def on_outcomes(outcomes: Outcomes) -> None:
            now = self._clock.now_ms()
            results: list[Result] = []
            for position, response in outcomes:
                index = pushes[position].target
                if response.status in ACCEPTED_STATUSES:
                    name = _message_id(response)
                    accepted = Disposition.ACCEPTED
                    results.append(Result(index, accepted, None, response.status, name, None, None, sent_at, now))
                    continue
                verdict = judge(response, now, listed=listed)
                if verdict.remedy is Remedy.REFRESH and not last and self._vapid.refused(audience, authorization):
                    again.append(pushes[position])
                    continue
                results.append(_result(index, verdict, response, sent_at, now))
            if results:
                # Services that nobody listed are their clients' own: their word makes nobody suspicious.
                on_results(self._doubt.applied(results) if listed else results)

        await engine.exchange(template, columns, len(pushes), self._timeout_seconds, on_outcomes, may_leave)
        return again

    async def _encrypted(self, pushes: list[_Push], on_results: OnResults) -> tuple[list[_Push], list[bytes]]:
        """Pushes and their bodies, without those whose key is no point of the curve; they have their results."""
        receivers = [(push.subscription.receiver_point, push.subscription.auth_secret) for push in pushes]
        made = await self._encryptor.encrypt([push.plaintext for push in pushes], receivers)
        bodies = [body for body in made if body is not None]
        if len(bodies) == len(pushes):
            return pushes, bodies
        wrong = [push for push, body in zip(pushes, made, strict=True) if body is None]
        on_results(_all(wrong, Disposition.INVALID, str(Reason.TOKEN_MALFORMED)))
        return [push for push, body in zip(pushes, made, strict=True) if body is not None], bodies


def _without_late(
    pushes: list[_Push], bodies: list[bytes], now_ms: int, on_results: OnResults
) -> tuple[list[_Push], list[bytes]]:
    """Without those whose time was over before they were encrypted; they have their results."""
    late = [push for push in pushes if NOW_OR_NEVER < push.expires_at < now_ms]
    if not late:
        return pushes, bodies
    on_results(_all(late, Disposition.UNSENT, NOT_SENT_IN_TIME))
    gone = {push.target for push in late}
    bodies = [body for push, body in zip(pushes, bodies, strict=True) if push.target not in gone]
    return [push for push in pushes if push.target not in gone], bodies


def _all(pushes: list[_Push], disposition: Disposition, reason: str) -> list[Result]:
    return [Result(push.target, disposition, reason) for push in pushes]


def _result(index: int, verdict: Verdict, response: Response, sent_at: int, now: int) -> Result:
    return Result(
        index,
        verdict.disposition,
        verdict.reason,
        response.status or None,
        None,
        None,
        verdict.retry_after_seconds,
        sent_at,
        now,
    )


def _message_id(response: Response) -> str | None:
    """The last part of the message resource's path: the service's own name of the push, without its address."""
    location = response.header(b"location")
    if location is None:
        return None
    name = location.partition(b"?")[0].rstrip(b"/").rpartition(b"/")[2].decode("latin-1")
    return name if 0 < len(name) <= _MAX_ID_CHARS and name.isascii() and name.isprintable() else None


def _why_unsent(error: OSError) -> str:
    """A name that does not resolve, or no place among the services in use: that one says nothing about this service."""
    return NOT_SENT_IN_TIME if isinstance(error, TimeoutError) else str(Reason.CONNECTION_FAILED)
