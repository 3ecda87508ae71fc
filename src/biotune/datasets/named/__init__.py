"""Readers of the named data sets, one module for each kind of place that they come from."""
