"""What is doubtful about images before anything is learnt from them: what ``biotune check`` finds, and leaks."""
