"""Readers of the named data sets, one module per kind of source."""
