"""What refining weights by a search is worth: data sets and networks, all heuristics, and what else could be done.

``cases`` names data sets with networks, ``networks`` trains them, ``entries`` refines and compares, ``special`` looks
at objectives without a gradient, ``measure`` runs it cell by cell, ``judged`` and ``figures`` say what came out.
"""
