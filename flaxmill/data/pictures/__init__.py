"""Picture files, made into arrays: decoded, and brought to the shape that a model takes."""
