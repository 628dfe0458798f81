"""From the IR to Python source: direct functions, and blocks between which a run can be suspended."""
