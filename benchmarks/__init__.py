"""Benchmarks: reference posteriors (`make reference`) and speed (`make bench`)."""
