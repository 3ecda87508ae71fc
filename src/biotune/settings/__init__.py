"""What can be set: the sections of a configuration, their presets, and how given values become a checked whole."""
