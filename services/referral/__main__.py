"""Run referral: `python -m services.referral`."""

from services.referral.app import app
from services.referral.settings import ReferralSettings
from shared.service import serve


def main() -> None:
    """Serve until stopped."""
    settings = ReferralSettings()
    serve(app(settings), settings)


if __name__ == "__main__":
    main()
