"""Per-app provider settings. Every endpoint and CA can be set; the vendor's own are the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from pushcast.config.quiet import QuietWindows
from pushcast.config.strict import Strict, port_of
from pushcast.model.fcm_topics import is_fcm_topic
from pushcast.model.pacing import MAX_PER_MINUTE
from pushcast.model.words import Lane, Platform
from pushcast.model.zones import zone_of


class Proxy(Strict):
    """An HTTP proxy that takes CONNECT. The password is in a file, so that no dump of the settings can hold it."""

    url: str  # http://host:port
    username: str | None = Field(default=None, min_length=1, pattern=r"^[^:]+$")  # where the proxy asks for one
    password_file: Path | None = None  # a file with the password alone; goes with username

    @field_validator("url")
    @classmethod
    def _is_a_proxy(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query or "@" in parts.netloc:
            raise ValueError("not http://host or http://host:port; user and password have settings of their own")
        port_of(parts)
        return url

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file go together")
        return self


class CanarySettings(Strict):
    """A push to a device of yours, all the way, again and again: `pushcast_canary_last_success_timestamp_seconds`."""

    token_file: Path  # the device's token; for Web Push its subscription as JSON
    every_seconds: float = Field(default=3600, ge=60, le=3600)  # between two of them
    mode: Literal["dry", "real"] = "dry"  # dry: as options.dry_run; FCM validates, others are not asked


class ProviderSettings(Strict):
    """What every provider has. Environment variables like HTTPS_PROXY are not looked at."""

    ca_file: Path | None = None  # None: the system's certificates
    canary: CanarySettings | None = None
    proxy: Proxy | None = None
    request_timeout_seconds: float | None = Field(default=None, gt=0, le=60)  # None: send.request_timeout_seconds
    max_connections: int = Field(default=16, ge=1, le=1000)  # to the provider, of each sender process, for this app


class _Guarded(ProviderSettings):
    """When half of 100 tokens are refused as another app's within a minute, the configuration is wrong, not they."""

    suspicion_answers: int = Field(default=100, ge=1)  # about tokens, before their share is looked at
    # Of them, that were refused as another app's, from which on no token is called invalid.
    suspicion_share: float = Field(default=0.5, gt=0, le=1)
    suspicion_window_seconds: float = Field(default=60.0, gt=0, le=3600)  # in which they are counted


class Apns(_Guarded):
    """Token (key_file, key_id, team_id) or certificate (certificate_file) authentication."""

    engine: Literal["multicast", "aioapns", "httpx"] = "multicast"  # multicast is ours; the others are for comparison
    environment: Literal["production", "sandbox"] = "production"  # of Apple's hosts; an endpoint stands above it
    endpoint: str | None = None  # an https URL in place of Apple's host
    topic: str  # the app's bundle id
    key_file: Path | None = None  # PEM (.p8), the key that Apple gave out
    key_id: str | None = Field(default=None, min_length=10, max_length=10)  # of that key, ten characters
    team_id: str | None = Field(default=None, min_length=10, max_length=10)  # of the developer account, ten characters
    certificate_file: Path | None = None  # PEM with its key, instead of key_file, key_id and team_id
    channels_endpoint: str | None = None  # of channel management
    broadcast_endpoint: str | None = None  # of publishing; None: the endpoint
    # How what is shown is taken back. alert_filtered: an alert for apps whose service extension may hide one, which
    # needs Apple's entitlement com.apple.developer.usernotifications.filtering.
    removal: Literal["background", "alert_filtered", "off"] = "background"

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        token = (self.key_file, self.key_id, self.team_id)
        if self.certificate_file is None and None in token:
            raise ValueError("set key_file, key_id and team_id, or certificate_file")
        if self.certificate_file is not None and any(token):
            raise ValueError("set either certificate_file or key_file, key_id and team_id")
        if self.engine == "aioapns" and self.proxy is not None:
            raise ValueError("engine aioapns takes no proxy; multicast and httpx do")
        return self

    @property
    def url(self) -> str:
        """https URL without path. Hosts: reference/providers.md §1.1."""
        host = "api.push.apple.com" if self.environment == "production" else "api.sandbox.push.apple.com"
        return self.endpoint or f"https://{host}"

    @property
    def channels_url(self) -> str:
        """https URL of channel management, without path (reference/providers.md §1.5)."""
        host, port = "api-manage-broadcast.push.apple.com", 2196
        if self.environment == "sandbox":
            host, port = "api-manage-broadcast.sandbox.push.apple.com", 2195
        return self.channels_endpoint or f"https://{host}:{port}"

    @property
    def broadcast_url(self) -> str:
        """https URL of broadcasts, without path. Apple's prose says the normal host (§8)."""
        return self.broadcast_endpoint or self.url


FCM_ENDPOINT = "https://fcm.googleapis.com"
#: Each is a question about every device that comes by: what it does not follow is taken back.
MAX_MIRRORED_TOPICS = 100
EXPO_ENDPOINT = "https://exp.host"
# A project's notifications, https://docs.expo.dev/push-notifications/sending-notifications/#limits
EXPO_QUOTA_PER_SECOND = 600
FCM_QUOTA_PER_MINUTE = 600_000  # per project, https://firebase.google.com/docs/cloud-messaging/scale-fcm


class LaneWeights(Strict):
    """How the lanes' senders share a quota; only the proportions count."""

    urgent: float = Field(default=0.3, gt=0)  # of the urgent lane's senders
    normal: float = Field(default=0.3, gt=0)  # of the normal lane's
    bulk: float = Field(default=0.4, gt=0)  # of the bulk lane's

    def by_lane(self) -> dict[Lane, float]:
        return {Lane.URGENT: self.urgent, Lane.NORMAL: self.normal, Lane.BULK: self.bulk}


def _quota_at(endpoint: str, public: str, quota: int) -> int | None:
    """The provider's quota at its own endpoint; None at another one, where nothing is paced."""
    return quota if endpoint.rstrip("/") == public else None


class Fcm(_Guarded):
    """Service account of the Firebase project."""

    engine: Literal["multicast", "httpx"] = "multicast"  # multicast is ours; httpx is for comparison
    # 100 streams each: at 50 ms, 16 connections carry 30,000 pushes a second at twice the CPU that 64 need.
    max_connections: int = Field(default=64, ge=1, le=1000)
    endpoint: str = FCM_ENDPOINT  # an https URL in place of Google's
    quota_per_minute: int | None = Field(default=None, ge=60)  # None: 600,000 at Google, unpaced at another endpoint
    ramp_up_seconds: float = Field(default=60.0, ge=0, le=3600)  # from nothing to the full rate; Google: at least 60
    lane_weights: LaneWeights = LaneWeights()
    # Of these topics FCM is told which devices follow them, for broadcasts with `via: fcm_topic`.
    mirror_topics: tuple[str, ...] = ()
    service_account_file: Path  # JSON, as the Firebase console gives it out
    project_id: str  # of the Firebase project
    token_endpoint: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address

    @field_validator("mirror_topics")
    @classmethod
    def _are_fcm_topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        if len(topics) > MAX_MIRRORED_TOPICS:
            raise ValueError(f"{len(topics)} topics; at most {MAX_MIRRORED_TOPICS}")
        for name in topics:
            if not is_fcm_topic(name):
                raise ValueError(f"{name!r} is no name of a topic of FCM: 1 to 900 letters, digits and -_.~%")
        return tuple(dict.fromkeys(topics))

    @property
    def pushes_per_minute(self) -> int | None:
        """The project's quota, None where nothing is paced."""
        return self.quota_per_minute or _quota_at(self.endpoint, FCM_ENDPOINT, FCM_QUOTA_PER_MINUTE)


class Expo(ProviderSettings):
    """Expo push service; an access token where the project enforces one."""

    engine: Literal["httpx"] = "httpx"  # the only one
    endpoint: str = EXPO_ENDPOINT  # an https URL in place of Expo's
    quota_per_second: int | None = Field(default=None, ge=2)  # None: 600 at Expo, unpaced at another endpoint
    lane_weights: LaneWeights = LaneWeights()
    access_token_file: Path | None = None  # where the project asks for one: a file with the token alone

    @property
    def pushes_per_second(self) -> int | None:
        """The project's quota, None where nothing is paced."""
        return self.quota_per_second or _quota_at(self.endpoint, EXPO_ENDPOINT, EXPO_QUOTA_PER_SECOND)


class Webpush(ProviderSettings):
    """VAPID identity and the push services that may be called.

    Behind a proxy only `allowed_hosts` can be reached: a proxy resolves names itself, so that nobody could hold the
    hosts that clients choose to public addresses.
    """

    engine: Literal["multicast"] = "multicast"  # the only one
    vapid_key_file: Path  # PEM, the private key whose public half the browsers were given
    subject: str = Field(pattern=r"^(mailto:[^\s<>]+@[^\s<>]+|https://\S+)$")  # Apple refuses others (§4)
    # Push services known by name; *.domain is any host below it. At others, all addresses of the host must be public.
    allowed_hosts: tuple[str, ...] = (
        "fcm.googleapis.com",
        "*.push.services.mozilla.com",
        "*.notify.windows.com",
        "*.push.apple.com",
    )
    allow_loopback: bool = False  # for the simulator only
    # How what is shown is taken back. A message that shows nothing costs a site its permission in some browsers.
    # replace: it has the Topic of what it takes back, so that a service delivers it in its place.
    removal: Literal["off", "message", "replace"] = "off"
    # Beside the sender; 0 encrypts in it alone, None takes what cores are left over beside two, at most four.
    encryption_processes: int | None = Field(default=None, ge=0, le=64)


class App(Strict):
    """One app: what it has is what it can send."""

    time_zone: str = "UTC"  # of devices that have none, for local times
    quiet_hours: QuietWindows = ()  # of users who have chosen none
    # Android's channel of what a class with `quiet: passive` sends in quiet hours: there the channel decides the sound.
    silent_channel_id: str | None = Field(default=None, min_length=1)
    # counted: a number in options.badge is also what "+1" adds to; its notifications pass the keeper then.
    badges: Literal["passed", "counted"] = "passed"
    # At most, of all users together; of what keeps to no rate of its campaign or class.
    per_minute: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)
    apns: Apns | None = None
    fcm: Fcm | None = None
    expo: Expo | None = None
    webpush: Webpush | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if zone_of(name) is None:
            raise ValueError(f"there is no time zone {name!r}")
        return name

    def platforms(self) -> list[Platform]:
        """Platforms that are configured."""
        return [platform for platform in Platform if getattr(self, platform) is not None]
