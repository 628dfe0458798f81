"""Sites that are conjugate given the rest, integrated out: families, linear forms, the pass."""
