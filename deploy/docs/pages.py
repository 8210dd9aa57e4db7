"""Which documents follow from the code, and where they are."""

from pathlib import Path

from deploy.docs.asyncapi import asyncapi_page
from deploy.docs.errors_page import errors_page
from deploy.docs.events_page import events_page
from deploy.docs.openapi import openapi_pages
from deploy.docs.topology import read_topology

ROOT = Path(__file__).resolve().parents[2]
"""The checkout. These documents are made from the sources, which an installed package does not have."""


def pages(root: Path = ROOT) -> dict[str, str]:
    """Path of each document, from the root, and what it must hold."""
    topology = read_topology(root)
    return {
        "docs/asyncapi.yaml": asyncapi_page(topology, root),
        "docs/events.md": events_page(topology, root),
        "docs/errors.md": errors_page(root),
        **{f"docs/openapi/{service}.json": text for service, text in openapi_pages().items()},
    }


def stale(root: Path = ROOT) -> list[str]:
    """The documents that are missing or hold something else."""
    return [path for path, text in pages(root).items() if _read(root / path) != text]


def write(root: Path = ROOT) -> list[str]:
    """Write those that are not current; their paths."""
    written = []
    for path, text in pages(root).items():
        if _read(root / path) != text:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
