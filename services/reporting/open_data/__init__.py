"""Open data: the indicator table by period, as the public sees it, with a Table Schema and a Data Package."""
