"""BioTune beside what else a user would try by hand: the same images, processor seconds of whole processes."""
