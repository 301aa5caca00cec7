"""Kafka as Pushcast uses it: batch transport for Faust, topics, tables, outbox, and an embedded broker."""
