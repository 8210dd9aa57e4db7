"""What was known when, and who is behind a figure: everything that only the log can tell.

The bus keeps the internal events for ever, so any past figure can be counted again as it was known at a moment
(`cuts.py`), two such figures can be told apart by the events between them (`differences.py`), and a figure can be
followed back to the pseudonymous youths and the events behind it (`lineage.py`). All three are passes over the log
(`passes.py`) with the projection's own functions, made by a process of their own (`worker.py`) so that no answer waits.
"""
