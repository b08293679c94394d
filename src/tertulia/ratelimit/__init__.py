"""Limits on requests in a period and on open connections, in memory or in Redis."""
