"""The tables of the Memory Wrap paper, ours beside theirs."""
