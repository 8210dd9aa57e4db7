"""`python -m services.tracking`: serve until SIGTERM or Ctrl-C."""

from services.tracking.app import app
from services.tracking.settings import TrackingSettings
from shared.service import serve


def main() -> None:
    """Serve by the environment's settings."""
    settings = TrackingSettings()
    serve(app(settings), settings)


if __name__ == "__main__":
    main()
