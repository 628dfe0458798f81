"""Models whose posteriors are known, and one runner that tries every method on every one of them.

`models/` has a file a model; `methods` a line a method; `test_known_answers` runs what fits.
"""
