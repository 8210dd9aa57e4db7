"""The command line of the build."""

import argparse
import sys
from pathlib import Path

import shared.reference
from deploy.reference_build.build import build
from deploy.reference_build.source import SourceError


def main() -> int:
    """Builds; the exit code is 1 when the source is not as expected."""
    parser = argparse.ArgumentParser(prog="python -m deploy.reference_build", description=__doc__)
    parser.add_argument("source", type=Path, help="folder with academies.csv, communes.csv, etablissements.csv, ...")
    parser.add_argument("--out", type=Path, default=Path(shared.reference.__file__).with_name("data"))
    parser.add_argument(
        "--open-licence-only",
        action="store_true",
        help="leave out the schools from lists without a licence of their own, and any offer at them",
    )
    arguments = parser.parse_args()
    try:
        written = build(arguments.source, arguments.out, open_licence_only=arguments.open_licence_only)
    except SourceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path, rows in written.items():
        print(f"{path}: {rows} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
