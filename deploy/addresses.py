"""Where the four services are: from the environment, or on this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

PORTS = {"referral": 8101, "catalogue": 8102, "tracking": 8103, "reporting": 8104}


@dataclass(frozen=True, slots=True)
class Addresses:
    """A base URL a service."""

    referral: str
    catalogue: str
    tracking: str
    reporting: str

    def items(self) -> list[tuple[str, str]]:
        """Name and URL of each service."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


def addresses(environment: Mapping[str, str] | None = None) -> Addresses:
    """From `FOQUALE_<SERVICE>_URL`, else this machine at `FOQUALE_<SERVICE>_PORT`, else at the usual port."""
    env = os.environ if environment is None else environment

    def url(service: str) -> str:
        port = env.get(f"FOQUALE_{service.upper()}_PORT") or PORTS[service]
        return (env.get(f"FOQUALE_{service.upper()}_URL") or f"http://127.0.0.1:{port}").rstrip("/")

    return Addresses(**{service: url(service) for service in PORTS})
