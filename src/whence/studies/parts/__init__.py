"""What studies share: what was asked of them, what they found, parts that are kept, their page."""
