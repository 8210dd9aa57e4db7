"""A client of the four services, typed: what the command line, the demo and the tests speak through.

    async with Client(addresses()) as client:
        async for youth in client.youths(campaign="2013-03"): ...

An answer that is no success raises `Refused` with the problem's status, code and detail; no answer raises
`Unreachable`. A write may be given an idempotency key, and is then safe to send again.
"""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, cast

import httpx

from deploy.addresses import Addresses
from deploy.answers import Build, ImportCounts, Indicators, JsonObject, Publication, Replayed, Youth

_PATIENCE_S = 60.0
_LIST_PATIENCE_S = 600.0
_PAGE = 500


class ClientError(Exception):
    """A request that did not succeed."""


class Unreachable(ClientError):
    """Nothing answers, or the connection broke."""

    def __init__(self, service: str, url: str, reason: str) -> None:
        super().__init__(f"{service} does not answer at {url} ({reason})")
        self.service = service
        self.url = url


class Refused(ClientError):
    """The service answered, and not with a success."""

    def __init__(self, service: str, status: int, problem: Mapping[str, Any]) -> None:
        self.service = service
        self.status = status
        self.code = str(problem.get("code", "http_error"))
        self.detail = str(problem.get("detail", ""))
        self.problem = dict(problem)
        super().__init__(f"{service} refuses ({status} {self.code}): {self.detail}")


class Client:
    """Connections to the services, so many to each. `transport` replaces the network, for tests."""

    def __init__(
        self,
        addresses: Addresses,
        *,
        connections: int = 8,
        patience_s: float = _PATIENCE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.addresses = addresses
        self._urls = dict(addresses.items())
        # A small pool for each service, and no more requests than connections: httpx looks through all connections and
        # all that wait at each request.
        self._slots = {service: asyncio.Semaphore(connections) for service in self._urls}
        self._http = {
            service: httpx.AsyncClient(
                timeout=httpx.Timeout(patience_s, connect=5.0),
                limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
                transport=transport,
                trust_env=False,  # these are our own services: no proxy of the environment stands between
            )
            for service in self._urls
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for http in self._http.values():
            await http.aclose()

    # referral

    async def send_list(self, chunks: AsyncIterable[bytes], import_id: str) -> ImportCounts:
        """Send a SIEI list (CSV); returns when all of it has been taken in."""
        answer = await self._send(
            "referral",
            "POST",
            "/v1/siei/imports",
            content=chunks,
            headers={"Content-Type": "text/csv", "Import-Id": import_id},
            timeout=httpx.Timeout(_LIST_PATIENCE_S, connect=5.0),
        )
        return cast(ImportCounts, answer)

    async def import_counts(self, import_id: str) -> ImportCounts | None:
        """What became of a list's rows so far; None before its first bytes have arrived."""
        try:
            return cast(ImportCounts, await self._send("referral", "GET", f"/v1/siei/imports/{import_id}"))
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def import_errors(self, import_id: str) -> AsyncIterator[JsonObject]:
        """The rejected rows of a list, by line: line, field, code, message, perhaps value and suggestion."""
        return self._pages("referral", f"/v1/siei/imports/{import_id}/errors", {})

    async def youths(self, **filters: str) -> AsyncIterator[Youth]:
        """The worklist; filters: platform_id, academie, departement, state, campaign, ine."""
        async for item in self._pages("referral", "/v1/youths", filters):
            yield cast(Youth, item)

    def disputes(self) -> AsyncIterator[JsonObject]:
        """Rows of which a person must say whom they name."""
        return self._pages("referral", "/v1/disputes", {})

    async def register(self, body: JsonObject, key: str | None = None) -> str:
        """A youth who came by himself; his identifier."""
        return str((await self._post("referral", "/v1/youths", body, key))["youth_id"])

    async def contact(self, youth_id: str, body: JsonObject, key: str | None = None) -> JsonObject:
        """A contact was attempted."""
        return await self._post("referral", f"/v1/youths/{youth_id}/contacts", body, key)

    async def interview(self, youth_id: str, body: JsonObject, key: str | None = None) -> JsonObject:
        """The positioning interview took place."""
        return await self._post("referral", f"/v1/youths/{youth_id}/interviews", body, key)

    async def dismiss(self, youth_id: str, body: JsonObject, key: str | None = None) -> JsonObject:
        """The youth needs no follow-up."""
        return await self._post("referral", f"/v1/youths/{youth_id}/dismissal", body, key)

    async def transfer(self, youth_id: str, body: JsonObject, key: str | None = None) -> JsonObject:
        """Another platform answers for the youth."""
        return await self._post("referral", f"/v1/youths/{youth_id}/transfer", body, key)

    # catalogue

    async def offer(self, body: JsonObject, key: str | None = None) -> str:
        """Offer a place (youth_id, solution_id, session_id, on); the placement's identifier."""
        return str((await self._post("catalogue", "/v1/placements", body, key))["placement_id"])

    # tracking

    async def accept(self, placement_id: str, body: JsonObject, key: str | None = None) -> JsonObject:
        """The youth takes the offered place."""
        return await self._post("tracking", f"/v1/placements/{placement_id}/acceptance", body, key)

    async def refuse(self, placement_id: str, body: JsonObject, key: str | None = None) -> JsonObject:
        """The youth does not take the offered place."""
        return await self._post("tracking", f"/v1/placements/{placement_id}/refusal", body, key)

    async def sign(self, body: JsonObject, key: str | None = None) -> str:
        """A contract FQE is signed; its identifier."""
        return str((await self._post("tracking", "/v1/contracts", body, key))["contract_id"])

    async def start(self, contract_id: str, body: JsonObject, key: str | None = None) -> JsonObject:
        """The training has begun."""
        return await self._post("tracking", f"/v1/contracts/{contract_id}/start", body, key)

    async def review(self, contract_id: str, body: JsonObject, key: str | None = None) -> JsonObject:
        """A review of the situation took place."""
        return await self._post("tracking", f"/v1/contracts/{contract_id}/reviews", body, key)

    async def end(self, contract_id: str, body: JsonObject, key: str | None = None) -> JsonObject:
        """The contract is over."""
        return await self._post("tracking", f"/v1/contracts/{contract_id}/end", body, key)

    # reporting

    async def indicators(
        self,
        *,
        by: Sequence[str] = ("national",),
        first: str | None = None,
        last: str | None = None,
        view: Sequence[str] = (),
        code: Sequence[str] = (),
    ) -> Indicators:
        """The figures; `first` and `last` are ISO days, both included."""
        wanted = {"by": ",".join(by), "from": first, "to": last, "view": ",".join(view), "code": ",".join(code)}
        query = {name: value for name, value in wanted.items() if value}
        return cast(Indicators, await self._send("reporting", "GET", "/v1/indicators", params=query))

    async def quality(self, *, first: str | None = None, last: str | None = None) -> JsonObject:
        """How good what comes in is; `first` and `last` are ISO days, both included."""
        query = {name: value for name, value in (("from", first), ("to", last)) if value}
        return await self._send("reporting", "GET", "/v1/quality", params=query)

    async def objectives(self, year: int) -> JsonObject:
        """Every académie's objective of a year, its trajectory and landing; and France's."""
        return await self._send("reporting", "GET", f"/v1/objectives/{year}")

    async def begin_build(self, kind: Literal["rebuild", "verification"], *, anyway: bool = False) -> str:
        """Let reporting build its projection anew, or recompute and compare it; the build's identifier."""
        body: JsonObject = {"anyway": True} if anyway else {}
        return str((await self._post("reporting", f"/v1/projection/{kind}s", body, None))[f"{kind}_id"])

    async def build(self, kind: Literal["rebuild", "verification"], build_id: str) -> Build:
        """How far a build is."""
        answer = await self._send("reporting", "GET", f"/v1/projection/{kind}s/{build_id}")
        return cast(Build, {"figures": None, "differences": None, **answer})

    # every service

    async def ready(self, service: str) -> bool:
        """Does the service say that it is ready?"""
        try:
            await self._send(service, "GET", "/ready", timeout=httpx.Timeout(5.0))
        except ClientError:
            return False
        return True

    async def publish_again(self, service: str, since: str | None = None) -> Publication:
        """Let a service publish its journal again: all of it, or what was recorded at or after a moment (RFC 3339)."""
        body = {"since": since} if since else {}
        return cast(Publication, await self._post(service, "/v1/journal/publications", body, None))

    async def publication(self, service: str, publication_id: str) -> Publication:
        """How far a publication has come."""
        return cast(Publication, await self._send(service, "GET", f"/v1/journal/publications/{publication_id}"))

    def dead_letters(self, service: str, **filters: str) -> AsyncIterator[JsonObject]:
        """Records that a service could not read or apply; filters: state, code, topic, since, until."""
        return self._pages(service, "/v1/dead-letters", filters)

    async def replay(self, service: str, dead_letter_id: str) -> None:
        """Let a service apply a dead letter again; `Refused` when it still cannot."""
        await self._send(service, "POST", f"/v1/dead-letters/{dead_letter_id}/replay")

    async def replay_all(self, service: str, filters: Mapping[str, str], cursor: str | None) -> Replayed:
        """Let a service apply again the dead letters that fit, some hundreds at once."""
        body = {**filters, "limit": _PAGE, **({"cursor": cursor} if cursor else {})}
        return cast(Replayed, await self._post(service, "/v1/dead-letters/replay", body, None))

    async def metric(self, service: str, name: str) -> float:
        """The sum of a metric's samples; 0 where there is none."""
        text = await self._text(service, "/metrics")
        samples = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(sample) for sample in samples)

    async def _pages(self, service: str, path: str, filters: Mapping[str, str]) -> AsyncIterator[JsonObject]:
        cursor: str | None = None
        while True:
            query = {**filters, "limit": str(_PAGE), **({"cursor": cursor} if cursor else {})}
            page = await self._send(service, "GET", path, params=query)
            for item in page["items"]:
                yield item
            cursor = page["next"]
            if not cursor:
                return

    async def _post(self, service: str, path: str, body: JsonObject, key: str | None) -> JsonObject:
        headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
        return await self._send(service, "POST", path, content=json.dumps(body).encode(), headers=headers)

    async def _send(self, service: str, method: str, path: str, **more: Any) -> JsonObject:
        answer = await self._exchange(service, method, path, **more)
        try:
            body = answer.json()
        except ValueError:
            raise Refused(service, answer.status_code, {"detail": "the answer is no JSON"}) from None
        if not answer.is_success:
            raise Refused(service, answer.status_code, body if isinstance(body, dict) else {})
        return cast(JsonObject, body)

    async def _text(self, service: str, path: str) -> str:
        answer = await self._exchange(service, "GET", path)
        if not answer.is_success:
            raise Refused(service, answer.status_code, {"detail": f"GET {path}"})
        return answer.text

    async def _exchange(self, service: str, method: str, path: str, **more: Any) -> httpx.Response:
        url = self._urls[service]
        try:
            async with self._slots[service]:
                return await self._http[service].request(method, url + path, **more)
        except httpx.TimeoutException as error:
            raise Unreachable(service, url, "no answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(service, url, _reason(error)) from error


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return "connection refused" if "connection attempts failed" in text.lower() else text
