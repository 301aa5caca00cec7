"""Taking back what a push service has not delivered yet: `DELETE /m/<message>`, which Mozilla's service knows.

https://mozilla-services.github.io/autopush-rs/api/http.html. Other services have nothing of the kind.
"""

from __future__ import annotations

from typing import Final

from pushcast.http2.request import Kind, Response, Template, Varying
from pushcast.model.words import Reason
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict, retry_after_seconds, unanswered
from pushcast.providers.webpush.subscription import EndpointForbidden, Malformed, parse

#: Services that delete, as the host of an endpoint ends. The simulators' is this machine.
HOSTS: Final = (".push.services.mozilla.com", "127.0.0.1", "localhost", "[::1]")
_PATH: Final = Varying(b":path", b"/m/")
_TAKEN_BACK: Final = Verdict(Disposition.ACCEPTED, None)
_AGAIN_SECONDS: Final = 60.0


def deletes(host: str) -> bool:
    """Whether the service of an endpoint deletes undelivered messages."""
    return host.endswith(HOSTS)


def is_recallable(address: bytes) -> bool:
    """Whether a subscription's service deletes undelivered messages; False for what is no subscription, too."""
    try:
        return deletes(parse(address).authority.partition(":")[0])
    except (Malformed, EndpointForbidden):
        return False


def template_of(authority: str, authorization: bytes) -> Template:
    """One column: the service's name of each message."""
    headers = [(b"authorization", authorization)]
    return Template(path=_PATH, headers=headers, authority=authority.encode(), method=b"DELETE")


def judge(response: Response, now_ms: int) -> Verdict:
    """A message that is not there was delivered, or is deleted already: there is nothing to be done either way."""
    if response.kind is not Kind.ANSWERED:
        verdict = unanswered(response)
        # Asked twice it does no harm, so nothing about it is in doubt.
        unknown = verdict.disposition is Disposition.UNKNOWN
        return verdict._replace(disposition=Disposition.UNSENT) if unknown else verdict
    if response.status < 300 or response.status in {404, 410}:
        return _TAKEN_BACK
    named = retry_after_seconds(response.header(b"retry-after"), now_ms)
    after = _AGAIN_SECONDS if named is None else named
    return Verdict(Disposition.RETRY, str(Reason.PROVIDER_ERROR), retry_after_seconds=after)
