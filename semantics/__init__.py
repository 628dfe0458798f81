"""What programs mean: the IR, values, sources of randomness, evaluators and representations."""
