"""Trials: from tasks to their results, one or several at a time."""
