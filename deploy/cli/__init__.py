"""The command line `foquale`."""

from deploy.cli.app import main

__all__ = ["main"]
