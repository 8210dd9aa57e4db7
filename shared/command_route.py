"""The short way of a command that is in order: from its JSON straight to the endpoint."""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, NamedTuple

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import ValidationError

from shared.commands import LONGEST_KEY, CommandOf, command
from shared.http import Input

_JSON: Final = "application/json"


class _Shape(NamedTuple):
    """The names of an endpoint's parameters: the command, the body and its model, and what comes from the path."""

    command: str
    body: str
    model: type[Input]
    path: frozenset[str]


class CommandRoute(APIRoute):
    """A route whose endpoint takes a command, a body and texts of the path, and answers with JSON.

    A request that is in order needs none of the framework's dependencies, a fifth of all work. Any other one, and any
    other endpoint, goes the framework's way, which says what is wrong.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI asks for it."""
        usual = super().get_route_handler()
        shape = _shape_of(self.endpoint, self.param_convertors)
        if shape is None:
            return usual
        endpoint, model = self.endpoint, shape.model

        async def handle(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if request.headers.get("content-type") != _JSON or (key is not None and not 0 < len(key) <= LONGEST_KEY):
                return await usual(request)
            try:
                body = model.model_validate_json(await request.body())
            except ValidationError:
                return await usual(request)
            given = {shape.command: await command(request, key), shape.body: body}
            answer: Response = await endpoint(**given, **{name: request.path_params[name] for name in shape.path})
            return answer

        return handle


def _shape_of(endpoint: Callable[..., Any], in_path: Mapping[str, Any]) -> _Shape | None:
    """The endpoint's shape, None where it is another than what goes the short way."""
    signature = inspect.signature(endpoint, eval_str=True)
    commands, bodies, path = list[str](), list[tuple[str, type[Input]]](), set[str]()
    for name, parameter in signature.parameters.items():
        told = parameter.annotation
        if told == CommandOf:
            commands.append(name)
        elif isinstance(told, type) and issubclass(told, Input):
            bodies.append((name, told))
        elif told is str and name in in_path:
            path.add(name)
        else:
            return None
    if signature.return_annotation is not JSONResponse or len(commands) != 1 or len(bodies) != 1:
        return None
    return _Shape(commands[0], *bodies[0], frozenset(path))
