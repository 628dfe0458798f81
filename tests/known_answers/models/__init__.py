"""One file a model: what it says, and its answer, computed there without the system."""
