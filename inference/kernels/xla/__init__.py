"""The kernels that XLA runs, a module each, and how they are combined (`compose`, `chain`)."""
