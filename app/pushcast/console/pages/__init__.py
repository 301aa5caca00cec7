"""The pages, one module each: what a page asks for and what its form does."""
