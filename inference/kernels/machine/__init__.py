"""Markov kernels on the machine's traces, whose sites may come and go."""
