"""How time and memory grow with the number of images, of blocks, and with the population."""
