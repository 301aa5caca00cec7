"""What an operator sees: metrics, health, logs. Knows nothing of Kafka clients or providers."""
