"""`pushcast demo`: the main job end to end on a real Kafka, judged from the topics and the simulators' own counters."""
