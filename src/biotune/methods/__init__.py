"""How it is tuned: fine-tuning methods behind one interface."""

from biotune.methods.base import Examples, FineTuningMethod, MethodOptions, Network, Signals, Stage
from biotune.methods.registry import METHODS, PROBE, canonical, configured, make_method, parse_method

__all__ = [
    "METHODS",
    "PROBE",
    "Examples",
    "FineTuningMethod",
    "MethodOptions",
    "Network",
    "Signals",
    "Stage",
    "canonical",
    "configured",
    "make_method",
    "parse_method",
]
