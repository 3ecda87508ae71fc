"""What a run is: its configuration, its folder and its store."""
