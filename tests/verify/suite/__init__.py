"""Every transformer, kernel and algorithm of the repository against its contract: `make verify`.

Each is checked on hundreds of generated programs at the exact level. `table` lists them, one line
each; `machine` and `compiled` say what runs on either engine.
"""
