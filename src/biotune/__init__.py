"""BioTune: automatic fine-tuning of pretrained image classifiers by evolution."""
