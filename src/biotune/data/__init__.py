"""What it learns from: image sources, decoding, splits and named data sets."""
