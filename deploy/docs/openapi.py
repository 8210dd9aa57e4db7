"""`docs/openapi/<service>.json`: what each service answers over HTTP, as OpenAPI 3.1."""

import json
from collections.abc import Callable

from fastapi import FastAPI

from services.catalogue.app import app as catalogue
from services.referral.app import app as referral
from services.reporting.app import app as reporting
from services.tracking.app import app as tracking

_APPS: dict[str, Callable[[], FastAPI]] = {
    "referral": referral,
    "catalogue": catalogue,
    "tracking": tracking,
    "reporting": reporting,
}


def openapi_pages() -> dict[str, str]:
    """Service -> its document, as `/openapi.json` gives it."""
    return {service: json.dumps(app().openapi(), ensure_ascii=False, indent=2) + "\n" for service, app in _APPS.items()}
