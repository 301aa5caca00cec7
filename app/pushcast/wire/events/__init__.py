"""What producers write, JSON and Avro into one validated model."""
