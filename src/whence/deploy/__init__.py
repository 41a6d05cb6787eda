"""Models in the form of other runtimes: one file that answers without whence."""
