"""The one error of this package."""


class LocalBackendError(RuntimeError):
    """A local server could not be had. The message is meant for the person at the terminal: what, where, remedy."""
