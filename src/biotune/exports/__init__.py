"""A model to take away: the networks of a run in the format of another tool, with what is needed to use them there."""

from biotune.exports.folder import Export, export

__all__ = ["Export", "export"]
