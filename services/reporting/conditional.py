"""Answers that are sent only to whoever does not have them yet: ETag, If-None-Match, 304."""

from hashlib import blake2b

from fastapi import Request, Response

from services.reporting.front import condition, has


def respond(request: Request, body: bytes, media_type: str, *, same: bytes | None = None, **headers: str) -> Response:
    """The body; 304 without it where the caller has it. `headers` are written with `_` for `-`.

    `same`: what two bodies must have in common to be as good as each other; without it, all, byte for byte.
    """
    digest = blake2b(body if same is None else same, digest_size=12).hexdigest()
    etag = f'"{digest}"' if same is None else f'W/"{digest}"'
    sent = {"ETag": etag, "Cache-Control": "no-cache"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    if_none_match = condition(request.scope["headers"])
    if if_none_match is not None and has(if_none_match, etag.encode()):
        return Response(status_code=304, headers=sent)
    return Response(body, media_type=media_type, headers=sent)
