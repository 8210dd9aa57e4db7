"""An endpoint that does nothing, served as our services are: the limit of what is built on FastAPI.

empty.py PORT
"""

import sys

from fastapi import FastAPI

from shared.service import serve
from shared.settings import ServiceSettings


def main() -> None:
    """Serve until SIGTERM."""
    app = FastAPI()

    @app.get("/")
    async def empty() -> dict[str, str]:
        return {}

    serve(app, ServiceSettings(service="empty", port=int(sys.argv[1]), log_level="WARNING"))


if __name__ == "__main__":
    main()
