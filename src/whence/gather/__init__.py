"""Models and runs in, records for pages out."""
