"""Bytes to model and back: Avro, framing, JSON intake, headers, dead-letter records."""
