"""Pure domain: notifications, devices, deliveries, outcomes, ids and time. Knows no Kafka and no HTTP."""
