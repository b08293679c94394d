"""Benchmarks: Tertulia compared with similar servers, simulated users, and the simulation of larger installations."""
