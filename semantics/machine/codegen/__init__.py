"""From the IR to Python source: direct functions, and blocks between which runs are values."""
