"""Speed of the trainer beside a plain PyTorch loop, and what recorded activations save."""
