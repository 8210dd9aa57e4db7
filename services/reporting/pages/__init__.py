"""Pages of the figures: HTML made on the server, that need no script and no other host."""
