"""What belongs to a run on disk: its folder, its store and its status; the same for comparisons."""
