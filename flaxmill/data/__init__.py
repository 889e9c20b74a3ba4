"""Data: where it is found, how it is read, and in which order a run sees it."""
