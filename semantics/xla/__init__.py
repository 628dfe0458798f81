"""The XLA evaluator: the IR run under JAX tracing, vectorised by named axes."""
