"""The outside world and the stored formats: settings, contract, Kafka, the lake, Spark, the model."""
