"""Simulated Firebase Cloud Messaging, HTTP v1, with its OAuth 2 token endpoint."""
