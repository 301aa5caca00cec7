"""What of a message leaves for which push service, and the results of what does not leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pushcast.http2.request import Response
from pushcast.model.batch import Message
from pushcast.model.words import Reason
from pushcast.providers.expiry import NOW_OR_NEVER, expiries
from pushcast.providers.identity import CollapseBy, filled
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.verdict import NOT_SENT_IN_TIME, Verdict
from pushcast.providers.webpush.encryptor import Encryptor
from pushcast.providers.webpush.endpoints import AddressRefused, EndpointPolicy, Origin
from pushcast.providers.webpush.subscription import BrowserSubscription, EndpointForbidden, Malformed, parse

_SUBSCRIPTION_KIND: Final = 2
_MAX_ID_CHARS: Final = 512  # Mozilla's are sealed texts of some 200


class BrowserPush(NamedTuple):
    """One target's, before it is encrypted."""

    target: int  # index into message.targets
    subscription: BrowserSubscription
    expires_at: int  # milliseconds since the epoch, or NOW_OR_NEVER
    plaintext: bytes
    topic: bytes | None = None  # of what it replaces at its service (RFC 8030 §5.4)


def sorted_by_service(
    message: Message,
    indices: Sequence[int],
    plaintext: bytes,
    policy: EndpointPolicy,
    collapse_by: CollapseBy,
    topics: Sequence[bytes | None],
) -> tuple[dict[Origin, list[BrowserPush]], list[Result]]:
    """Pushes by service, and results of the targets that have none. `topics`: of each index."""
    targets = message.targets
    addresses, kinds, expires_at = targets.address, targets.kind, expiries(message)
    by_origin: dict[Origin, list[BrowserPush]] = {}
    results: list[Result] = []
    bodies = filled(plaintext, message, indices, collapse_by)
    for index, own, topic in zip(indices, bodies, topics, strict=True):
        try:
            if kinds[index] != _SUBSCRIPTION_KIND:
                raise Malformed
            subscription = parse(addresses[index])
            origin = policy.origin(subscription.authority)
            if origin is None:
                raise EndpointForbidden
        except Malformed:
            results.append(Result(index, Disposition.INVALID, str(Reason.TOKEN_MALFORMED)))
        except EndpointForbidden:
            results.append(Result(index, Disposition.REJECTED, AddressRefused.reason))
        else:
            push = BrowserPush(index, subscription, expires_at[index], own, topic)
            by_origin.setdefault(origin, []).append(push)
    return by_origin, results


async def encrypted(
    encryptor: Encryptor, pushes: list[BrowserPush], on_results: OnResults
) -> tuple[list[BrowserPush], list[bytes]]:
    """Pushes and their bodies, without those whose key is no point of the curve; they have their results."""
    receivers = [(push.subscription.receiver_point, push.subscription.auth_secret) for push in pushes]
    made = await encryptor.encrypt([push.plaintext for push in pushes], receivers)
    bodies = [body for body in made if body is not None]
    if len(bodies) == len(pushes):
        return pushes, bodies
    wrong = [push for push, body in zip(pushes, made, strict=True) if body is None]
    on_results(same_for_all(wrong, Disposition.INVALID, str(Reason.TOKEN_MALFORMED)))
    return [push for push, body in zip(pushes, made, strict=True) if body is not None], bodies


def without_late(
    pushes: list[BrowserPush], bodies: list[bytes], now_ms: int, on_results: OnResults
) -> tuple[list[BrowserPush], list[bytes]]:
    """Without those whose time was over before they were encrypted; they have their results."""
    late = [push for push in pushes if NOW_OR_NEVER < push.expires_at < now_ms]
    if not late:
        return pushes, bodies
    on_results(same_for_all(late, Disposition.UNSENT, NOT_SENT_IN_TIME))
    gone = {push.target for push in late}
    bodies = [body for push, body in zip(pushes, bodies, strict=True) if push.target not in gone]
    return [push for push in pushes if push.target not in gone], bodies


def same_for_all(pushes: list[BrowserPush], disposition: Disposition, reason: str) -> list[Result]:
    """Of pushes that never left."""
    return [Result(push.target, disposition, reason) for push in pushes]


def answered(index: int, verdict: Verdict, response: Response, sent_at: int, now: int) -> Result:
    """Of a push that its service did not take. Times are milliseconds since the epoch."""
    status, after = response.status or None, verdict.retry_after_seconds
    return Result(index, verdict.disposition, verdict.reason, status, None, None, after, sent_at, now)


def message_id(response: Response) -> str | None:
    """The last part of the message resource's path: the service's own name of the push, without its address."""
    location = response.header(b"location")
    if location is None:
        return None
    name = location.partition(b"?")[0].rstrip(b"/").rpartition(b"/")[2].decode("latin-1")
    return name if 0 < len(name) <= _MAX_ID_CHARS and name.isascii() and name.isprintable() else None


def why_unsent(error: OSError) -> str:
    """A name that does not resolve, or no place among the services in use: that one says nothing about this service."""
    return NOT_SENT_IN_TIME if isinstance(error, TimeoutError) else str(Reason.CONNECTION_FAILED)
