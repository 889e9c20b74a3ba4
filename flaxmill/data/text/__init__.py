"""Text: read with its labels, cut into tokens, or made up."""
