"""Pushcast: push notifications as a Kafka stream."""

__version__ = "0.1.0"
