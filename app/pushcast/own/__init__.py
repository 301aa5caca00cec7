"""OWN: claims of tokens in, whose each token is, and evictions of the others out."""
