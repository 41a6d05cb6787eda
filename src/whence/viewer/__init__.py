"""A viewer of a run in the browser: ask, see the evidence, change the memory, see what follows."""
