"""The REST API: what the lake's published windows say, over HTTP. No Dagster, no Spark, no Kafka inside."""
