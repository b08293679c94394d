"""Processes that handle untrusted input, with limits on time and memory."""
