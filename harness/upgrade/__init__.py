"""What another version of a library changes: nothing, round-off, the path of the training, its accuracy."""
