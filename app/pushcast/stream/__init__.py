"""What a stage is: batches, completion, clocks of an assignment, ports. No Faust client and no confluent_kafka."""
