"""What can go wrong with an embedded Kafka.

EmbeddedKafkaError          something failed; the message says what and what to do
├── SettingError            an argument or an environment variable is wrong (exit code 2)
├── PlatformError           this machine cannot run it at all
├── DownloadError           a jar could not be fetched or has the wrong SHA-256
├── JavaError               no usable Java
├── StorageError            the data directory is not what it should be
├── PortTakenError          a port that was asked for by number is in use
└── BrokerFailedError       a broker died or did not answer in time
"""

from __future__ import annotations

from pushcast.model.errors import ConfigurationError, PushcastError


class EmbeddedKafkaError(PushcastError):
    """Base of all; never raised itself."""


class SettingError(EmbeddedKafkaError, ConfigurationError):
    """An argument or an environment variable is wrong."""


class PlatformError(EmbeddedKafkaError):
    """The operating system or C library is not supported."""


class DownloadError(EmbeddedKafkaError):
    """A jar could not be fetched, or what came is not what the lock says."""


class JavaError(EmbeddedKafkaError):
    """No Java of at least version 17 was found."""


class StorageError(EmbeddedKafkaError):
    """The data directory belongs to something else, is half formatted, or is used otherwise."""


class PortTakenError(EmbeddedKafkaError):
    """A port that was asked for by number is in use."""


class BrokerFailedError(EmbeddedKafkaError):
    """A broker process ended, or did not answer within its time."""
