"""A model to take away: the networks of a run in the format of another tool, with what is needed to use them there."""

from biotune.exports.folder import Export, export
from biotune.exports.source import Format

__all__ = ["Export", "Format", "export"]
