"""What happened inside a network, operation by operation, and relevance that walks it backwards."""
