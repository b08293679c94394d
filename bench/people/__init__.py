"""Simulated users, and the checker of what they see."""
