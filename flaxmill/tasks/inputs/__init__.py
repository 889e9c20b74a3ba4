"""What a model takes, made of what a person gives."""
