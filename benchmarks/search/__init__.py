"""Accuracy against cost of searches, over data sets and root seeds."""
