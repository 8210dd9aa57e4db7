"""The register of definitions as it would be after one of them changed."""

from collections.abc import Mapping
from pathlib import Path

from services.reporting import definitions

SHIPPED = Path(definitions.__file__).with_name("indicators.toml").read_text(encoding="utf-8")
CHANGE = {"fr": "Seuls les contacts aboutis comptent.", "en": "Only contacts that succeeded count."}


def with_second_version(folder: Path, code: str, valid_from: str, change: Mapping[str, str] = CHANGE) -> Path:
    """A file of definitions in which `code` has a second version from a day on."""
    entries = SHIPPED.split("[[indicator]]\n")
    at = next(n for n, entry in enumerate(entries) if entry.startswith(f'code = "{code}"\n'))
    second = entries[at].replace("version = 1\n", "version = 2\n").replace("2013-01-01", valid_from).rstrip()
    said = "".join(f'change.{language} = "{text}"\n' for language, text in change.items())
    entries.insert(at + 1, f"{second}\n{said}\n")
    path = folder / "changed.toml"
    path.write_text("[[indicator]]\n".join(entries), encoding="utf-8")
    return path
