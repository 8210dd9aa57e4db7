"""What every page is made with: templates, texts in two languages, links that keep the language, the strict headers."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from mimetypes import guess_type
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, get_args
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.reporting.pages import charts
from services.reporting.pages.writing import Lang, Writing
from services.reporting.readers import Reader

LANGS: Final[tuple[Lang, ...]] = get_args(Lang)
HTML: Final = "text/html; charset=utf-8"
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
"""Nothing of another host, no inline script or style, in no frame of another site."""

_HERE: Final = Path(__file__).parent


@dataclass(frozen=True)
class Asked:
    """The page that is asked for: its path, its query, and the language that the query asks for."""

    path: str
    query: str = ""

    @cached_property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @cached_property
    def lang(self) -> Lang:
        return "en" if self.parameters.get("lang") == "en" else "fr"

    def to(self, path: str, **query: object) -> str:
        """A link to another page, in the same language; parameters that are None are left out."""
        lang = {"lang": self.lang} if self.lang != "fr" else {}
        return _link(path, {**query, **lang})

    def here(self, **changes: object) -> str:
        """A link to this page with some parameters changed; None takes one away."""
        return _link(self.path, {**self.parameters, **changes})

    @property
    def other(self) -> str:
        """The same page in the other language."""
        return self.here(lang="en" if self.lang == "fr" else None)


def _link(path: str, query: Mapping[str, object]) -> str:
    written = urlencode({name.rstrip("_"): value for name, value in query.items() if value is not None})
    return f"{path}?{written}" if written else path


@dataclass(frozen=True, slots=True)
class Static:
    """A file of ours as it is sent."""

    body: bytes
    media_type: str
    digest: str


class Site:
    """Renders pages for one reader."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.static = {file.name: _static(file) for file in sorted((_HERE / "static").iterdir()) if file.is_file()}
        self._texts = {lang: texts(lang) for lang in LANGS}
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {"static": self.static_link, "charts": charts}

    def render(self, template: str, asked: Asked, **view: Any) -> bytes:
        """The page: `view` is what the template shows. It also knows `page` (`Asked`), `t` (texts), `f` (`Writing`)
        and `reader`.
        """
        return "".join(self.parts(template, asked, **view)).encode()

    def parts(self, template: str, asked: Asked, **view: Any) -> Iterator[str]:
        """The same, piece by piece."""
        made = self._environment.get_template(template)
        return made.generate(page=asked, t=self.texts(asked.lang), f=Writing(asked.lang), reader=self.reader, **view)

    def texts(self, lang: Lang) -> Any:
        """All texts of a language: a table of a file `texts/<name>.<lang>.toml` is an attribute."""
        return self._texts[lang]

    def static_link(self, name: str) -> str:
        """Where a file of ours is; another one is elsewhere, so that it may be kept for ever."""
        return f"/static/{name}?v={self.static[name].digest}"


def texts(lang: Lang) -> SimpleNamespace:
    """The texts of all files of a language."""
    tables: dict[str, Any] = {}
    for file in sorted((_HERE / "texts").glob(f"*.{lang}.toml")):
        tables |= tomllib.loads(file.read_text(encoding="utf-8"))
    return _attributes(tables)


def _attributes(table: Mapping[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(
        **{name: _attributes(value) if isinstance(value, dict) else value for name, value in table.items()}
    )


def _static(file: Path) -> Static:
    body = file.read_bytes()
    media_type = guess_type(file.name)[0] or "application/octet-stream"
    return Static(body, media_type, blake2b(body, digest_size=6).hexdigest())
