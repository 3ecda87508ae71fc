"""Recorded activations: the outputs of frozen blocks, computed once and shared by every training that freezes them.

Most candidates of a search freeze the first blocks of the same pretrained network, so these blocks return the same
outputs for an image in every epoch of every candidate. A training that starts from recorded outputs runs only the rest.

1. ``plan`` finds out, by running the network, which modules' outputs must be recorded for a given recipe.
2. ``recorder`` takes these outputs batch by batch, in memory or in a file on disk; ``outputs`` is what it returns.
3. ``storage`` keeps them within budgets of bytes and drops those that save the least work per byte.
4. ``stubs`` replaces the frozen modules during a training: each returns its recorded output for the current batch.
5. ``cache`` joins these steps; it is the only part that a training uses.

No result may depend on whether outputs are recorded; docs/architecture.md says how that is kept.
"""
