"""`python -m services.reporting`."""

from services.reporting.app import app
from services.reporting.settings import ReportingSettings
from shared.service import serve

if __name__ == "__main__":
    settings = ReportingSettings()
    serve(app(settings), settings)
