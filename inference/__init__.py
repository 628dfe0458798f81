"""Transformers of representations, and the algorithms composed of them."""
