"""The HTTP door: what clients send by HTTP is checked as the stages check it, and answered when Kafka has it."""
