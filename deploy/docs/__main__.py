"""`python -m deploy.docs`: write the documents that follow from the code; `--check` only says which are not current."""

import argparse
import sys

from deploy.docs.pages import ROOT, stale, write


def main() -> int:
    """0 when all is well, 1 when `--check` found a document that is not current."""
    parser = argparse.ArgumentParser(prog="python -m deploy.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, name the documents that are not current")
    if parser.parse_args().check:
        old = stale(ROOT)
        for path in old:
            sys.stdout.write(f"not current: {path} (make docs)\n")
        return 1 if old else 0
    for path in write(ROOT):
        sys.stdout.write(f"written: {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
