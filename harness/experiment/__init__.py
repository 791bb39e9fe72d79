"""What to run: the experiment, its presets, configuration files, execution, backends."""
