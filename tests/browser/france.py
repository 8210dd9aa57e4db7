"""Reporting twice over the same store, for the staff and for the public, and a campaign that both have heard of."""

import asyncio
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx
from pymongo import MongoClient

from deploy.local import free_port
from deploy.local.processes import HOST, Process
from services.reporting.app import TOPICS
from shared.bus import ensure_topics
from shared.events import Event
from shared.reference import load
from shared.settings import ServiceSettings
from tests.browser.campaign import YEAR, Network, envelopes, events, networks
from tests.support.probe import eventually, produce

YOUTHS: Final = 3_000
AIMS: Final = (0.95, 1.1, 1.3, 1.8, 2.6, 5.0)
"""An académie's objective in the year, as so many times what it has achieved: some are far, some are there."""

WITHOUT_OBJECTIVE: Final = frozenset({"20", "31", "33"})
"""Académies for which none is set."""

FROZEN: Final = (YEAR, 2, "10")
"""Year, period and académie of a bilan that is frozen."""

_PATIENCE_S: Final = 60.0


class France:
    """Everything runs within the block. `staff` and `public` are base URLs of the pages."""

    def __init__(self, mongo_url: str, kafka: str, folder: Path) -> None:
        self._mongo_url = mongo_url
        self._kafka = kafka
        self._prefix = f"browser{uuid.uuid4().hex[:8]}"
        self._ports = {"national": free_port(), "public": free_port()}
        self.networks: Sequence[Network] = networks(load())
        self._settings = ServiceSettings(
            service="reporting", port=1, kafka_bootstrap=kafka, topic_prefix=f"{self._prefix}."
        )
        self._processes = [
            Process(
                reader,
                [sys.executable, "-m", "tests.browser.service"],
                log=folder / f"{reader}.log",
                environment=self._environment(reader, port),
            )
            for reader, port in self._ports.items()
        ]
        self._sent = 0

    @property
    def staff(self) -> str:
        """Where national staff read."""
        return f"http://{HOST}:{self._ports['national']}"

    @property
    def public(self) -> str:
        """Where everybody reads."""
        return f"http://{HOST}:{self._ports['public']}"

    def answer(self, path: str, *, of: str | None = None, **headers: str) -> httpx.Response:
        """What is answered to a GET."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(f"{of or self.staff}{path}", headers=names, timeout=30, trust_env=False)

    def get(self, path: str, *, of: str | None = None, **query: str) -> Any:
        """What the API answers, as plain data."""
        answer = httpx.get(f"{of or self.staff}{path}", params=query, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rows(self, *, of: str | None = None, **query: str) -> dict[tuple[str, str], dict[str, Any]]:
        """The API's rows by level and code."""
        rows = self.get("/v1/indicators", of=of, **query)["rows"]
        return {(row["by"], row["code"]): row for row in rows}

    async def tell(self, told: Sequence[Event]) -> None:
        """Put events on the bus."""
        self._sent += 1
        for topic, found in envelopes(list(told), prefix=f"{self._prefix}-{self._sent}").items():
            await produce(self._kafka, self._settings.topic(topic), *found)

    async def heard_all(self) -> None:
        """Wait until both have counted whatever is on the bus."""

        async def have() -> bool:
            return all([await asyncio.to_thread(self._heard_all, url) for url in (self.staff, self.public)])

        await eventually(have, within_s=_PATIENCE_S, what="all is counted")

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        asyncio.run(
            ensure_topics(self._settings, [self._settings.topic(topic) for topic in (*TOPICS, "reporting.events")])
        )
        asyncio.run(self.tell(events(load(), YOUTHS)))
        for process in self._processes:
            process.start()
        for url in (self.staff, self.public):
            _wait(lambda url=url: _ready(url), f"{url} is ready", self._log)  # type: ignore[misc]  # the default is the type
        for url in (self.staff, self.public):
            _wait(lambda url=url: self._heard_all(url), f"{url} has heard all", self._log)  # type: ignore[misc]  # the default is the type
        self._objectives()
        self._bilan()

    def _stop(self) -> None:
        for process in self._processes:
            process.stop()
        client: MongoClient[dict[str, object]]
        with MongoClient(self._mongo_url) as client:
            client.drop_database(f"{self._prefix}_reporting")

    def _heard_all(self, url: str) -> bool:
        sources = self.get("/v1/indicators", of=url)["sources"]
        return all(source["lag"] == 0 for source in sources)

    def _objectives(self) -> None:
        lines = self.get(f"/v1/objectives/{YEAR}")["academies"]
        for number, line in enumerate(line for line in lines if line["academie"] not in WITHOUT_OBJECTIVE):
            objective = round(line["achieved"] * AIMS[number % len(AIMS)])
            body = {"objective": objective, "by": "Le recteur", "reason": "Dialogue de gestion de janvier"}
            self._do("PUT", f"/v1/objectives/{YEAR}/{line['academie']}", body)
        body = {"objective": 66, "by": "Le recteur", "reason": "Une plateforme de plus à l'automne"}
        self._do("PUT", f"/v1/objectives/{YEAR}/10", body)

    def _bilan(self) -> None:
        path = "/v1/bilans/{}/{}/{}".format(*FROZEN)
        texts = {
            "worked": "Le contact par téléphone dans la semaine qui suit la liste.",
            "needs": "Un poste de plus à la mission de lutte contre le décrochage.",
            "obstacles": "Peu de places en apprentissage avant septembre.",
            "by": "Le responsable du réseau",
        }
        self._do("PUT", f"{path}/texts/academie", texts)
        self._do("POST", f"{path}/validation", {"by": "La déléguée académique", "role": "Déléguée FOQUALE"})
        self._do("POST", f"{path}/freezing", {"by": "Le recteur"})

    def _do(self, method: str, path: str, body: dict[str, Any]) -> None:
        answer = httpx.request(method, f"{self.staff}{path}", json=body, timeout=30, trust_env=False)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"

    def _log(self) -> str:
        return "\n".join(process.log_tail() for process in self._processes)

    def _environment(self, reader: str, port: int) -> dict[str, str]:
        return {
            "FOQUALE_READER": reader,
            "FOQUALE_REPORTING_PORT": str(port),
            "FOQUALE_HOST": HOST,
            "FOQUALE_MONGO_URL": self._mongo_url,
            "FOQUALE_MONGO_PREFIX": f"{self._prefix}_",
            "FOQUALE_KAFKA_BOOTSTRAP": self._kafka,
            "FOQUALE_KAFKA_IDEMPOTENCE": "false",
            "FOQUALE_KAFKA_SESSION_MS": "2000",
            "FOQUALE_TOPIC_PREFIX": f"{self._prefix}.",
            "FOQUALE_FOLD_EVERY_S": "1",
        }


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _wait(done: Callable[[], bool], what: str, log: Callable[[], str]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not done():
        assert time.monotonic() < until, f"not within {_PATIENCE_S:g} s: {what}\n{log()}"
        time.sleep(0.1)
