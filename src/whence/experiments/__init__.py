"""Settings, runs, tables of the paper, and what reports gather from models."""
