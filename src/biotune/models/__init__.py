"""What is tuned: networks by name, their weights and their blocks."""
