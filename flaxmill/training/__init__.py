"""What a loop is made of, and what a run keeps."""
