"""Models: ordinary Flax NNX modules that take raw data and return logits."""
