"""Training: pure functions on Spark frames and arrays."""
