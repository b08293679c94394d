"""Delivery of the events in the outbox to webhooks and hooks."""
