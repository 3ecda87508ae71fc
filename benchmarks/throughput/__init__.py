"""Speed of the trainer compared with a plain PyTorch loop, and the time that recorded activations save."""
