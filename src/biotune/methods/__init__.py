"""How it is tuned: fine-tuning methods behind one interface."""
