"""Other ways to do the same work, each set up with care, with our own pure functions where they run in Python: what
differs is the design. Each program reads all records once and tells how fast, and every figure that it has stored.
"""
