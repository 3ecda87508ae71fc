"""Where to look next: search algorithms over points in the unit box (NumPy only)."""
