"""Simulated Apple Push Notification service."""
