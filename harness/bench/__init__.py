"""How fast: phases of each backend, the stack against single cells and the notes, whole commands."""
