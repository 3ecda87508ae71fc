"""The version of the package, and the version of what a training means."""

__version__ = "0.1.0"

RESULT_VERSION = 3
"""Raised when a change of the code changes what a training gives: results stored by another version are not reused."""
