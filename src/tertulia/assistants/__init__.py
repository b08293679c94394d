"""Assistants: what the application's owner tells Claude, and what clients may change."""
