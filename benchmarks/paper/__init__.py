"""The papers' tables and figure, one command each."""
