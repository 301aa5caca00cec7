"""From settings to a place one can connect to: address, TLS and proxy, with errors that name the setting."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from pushcast.config.providers import ProviderSettings
from pushcast.config.providers import Proxy as ProxySettings
from pushcast.config.reading import without_user_info
from pushcast.http2.dial import Endpoint, HttpProxy
from pushcast.http2.tls import client_context
from pushcast.model.errors import ConfigurationError


class Address(NamedTuple):
    """Host and port of a provider."""

    host: str
    port: int

    @property
    def authority(self) -> bytes:
        """As it stands in `:authority`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == 443 else f"{host}:{self.port}").encode()


class Reach(NamedTuple):
    """How one provider is reached."""

    url: str
    address: Address
    tls: ssl.SSLContext
    proxy: HttpProxy | None

    def endpoint(self, *, alpn_required: bool) -> Endpoint:
        address = self.address
        return Endpoint(
            host=address.host, port=address.port, tls=self.tls, alpn_required=alpn_required, proxy=self.proxy
        )

    @property
    def httpx_proxy(self) -> httpx.Proxy | None:
        """The same proxy for httpx."""
        if self.proxy is None:
            return None
        host = f"[{self.proxy.host}]" if ":" in self.proxy.host else self.proxy.host
        user, _, password = (self.proxy.user_and_password or "").partition(":")
        return httpx.Proxy(f"http://{host}:{self.proxy.port}", auth=(user, password) if user else None)


def reach(chosen: ProviderSettings, url: str, certificate_file: Path | None = None) -> Reach:
    """Reads the files. Raises ConfigurationError."""
    return Reach(url, address_of(url), tls_of(chosen.ca_file, certificate_file), proxy_of(chosen.proxy))


def address_of(url: str) -> Address:
    """Host and port of an https URL without a path. Raises ConfigurationError."""
    shown = without_user_info(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"endpoint {shown!r} is not a URL") from error
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise ConfigurationError(f"endpoint {shown!r} is not https://host or https://host:port")
    return Address(parts.hostname, port or 443)


def tls_of(ca_file: Path | None, certificate_file: Path | None = None) -> ssl.SSLContext:
    """Raises ConfigurationError naming the file that does not serve."""
    try:
        # An empty password: an encrypted key is refused instead of asked for on the terminal.
        return client_context(ca_file=ca_file, certificate_file=certificate_file, key_password="")
    except (OSError, ssl.SSLError) as error:
        files = " or ".join(
            f"{name} {path}" for name, path in (("ca_file", ca_file), ("certificate_file", certificate_file)) if path
        )
        raise ConfigurationError(f"{files or 'system certificates'}: no usable PEM ({error})") from error


def proxy_of(settings: ProxySettings | None) -> HttpProxy | None:
    """Reads the password. Raises ConfigurationError, never with the password in it."""
    if settings is None:
        return None
    parts = urlsplit(settings.url)
    host, port = parts.hostname, parts.port
    assert host is not None, "the settings have seen to it"
    if settings.username is None or settings.password_file is None:
        return HttpProxy(host, port or 80)
    try:
        password = settings.password_file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"proxy.password_file: cannot read {settings.password_file}") from error
    if not password:
        raise ConfigurationError(f"proxy.password_file: {settings.password_file} is empty")
    return HttpProxy(host, port or 80, f"{settings.username}:{password}")
