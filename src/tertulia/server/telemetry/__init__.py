"""Metrics, traces and JSON logs."""
