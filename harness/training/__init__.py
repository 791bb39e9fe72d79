"""One unit of work: cut, prepared, run, evaluated."""
