"""`python -m services.catalogue` runs one catalogue process."""

from services.catalogue.app import app
from services.catalogue.settings import CatalogueSettings
from shared.service import serve

if __name__ == "__main__":
    settings = CatalogueSettings()
    serve(app(settings), settings)
