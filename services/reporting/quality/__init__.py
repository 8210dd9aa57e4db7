"""How good what comes in is: lists by upstream base, disputes, dead letters of all services. Counts, no person."""
