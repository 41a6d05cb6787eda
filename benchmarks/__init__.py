"""Benchmarks: one file per claim, run as commands, never as tests."""
