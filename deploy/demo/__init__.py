"""`foquale demo`: the whole system at work on a simulated campaign, and its figures checked."""

from deploy.demo.run import run

__all__ = ["run"]
