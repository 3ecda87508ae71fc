"""Better weights for a layer of a trained network: what is searched, how points are judged, what is kept of them."""

from biotune.refinement.layers import Layer, Weights, chosen_weights, weighted_layers
from biotune.refinement.objective import Objective
from biotune.refinement.outputs import LastLayer, Outputs, Rest, is_last, last_features, logits_of, rest_of
from biotune.refinement.refit import refit, refitted_logits
from biotune.refinement.safeguards import Kept, Parts, best_of, deal, shrunk
from biotune.refinement.search import Explored, explore, make_search

__all__ = [
    "Explored",
    "Kept",
    "LastLayer",
    "Layer",
    "Objective",
    "Outputs",
    "Parts",
    "Rest",
    "Weights",
    "best_of",
    "chosen_weights",
    "deal",
    "explore",
    "is_last",
    "last_features",
    "logits_of",
    "make_search",
    "refit",
    "refitted_logits",
    "rest_of",
    "shrunk",
    "weighted_layers",
]
