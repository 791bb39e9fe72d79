"""How fast: phases of each backend, the stack against one cell at a time, the whole against notebooks."""
