"""The verification kit: state the law of a transformer, kernel or algorithm, and have it tested."""
