"""Processes that work on untrusted input, with bounds on time and memory."""
