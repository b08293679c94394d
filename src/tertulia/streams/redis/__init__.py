"""The event log in Redis Streams, for several processes."""
