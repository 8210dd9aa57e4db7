"""Objectives: what each académie is to reach in a year, how far it has come, and where it will land."""
