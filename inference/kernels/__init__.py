"""Markov kernels: what a user says of them (`algebra`), and how either engine runs it."""
