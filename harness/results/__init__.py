"""What lies on disk: the run folder, its manifest, the result."""
