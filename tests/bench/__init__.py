"""How fast it is, beside other ways of doing the same (`make bench`)."""
