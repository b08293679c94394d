"""The cost of streams in Redis and in a Redis Cluster."""
