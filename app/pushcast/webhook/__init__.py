"""Webhooks: what became of deliveries, posted to endpoints of the configuration. Each endpoint is a cursor."""
