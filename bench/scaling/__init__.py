"""The simulation for docs/scaling.md, and its plots."""
