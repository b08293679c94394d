"""Rate limits and limits on open connections, in memory or in Redis."""
