"""The settings: the sections of a configuration, the presets, and how given values become a checked configuration."""
