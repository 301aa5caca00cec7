"""POLL: asks providers what became of pushes that they took with a ticket."""
