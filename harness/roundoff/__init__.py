"""How far round-off alone carries a training: trials, twins, the chaos map, disputed cells."""
