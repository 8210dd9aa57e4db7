"""Where in the sources something is: found by reading them as syntax trees, so that a moved function is found again."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A function or class, and the file that holds it, from the root."""

    file: str
    name: str


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def source_files(root: Path, folder: str) -> list[Path]:
    """The sources under a folder, in order."""
    return sorted((root / folder).rglob("*.py"))


def definitions(tree: ast.AST) -> Iterator[Function]:
    """All functions and classes of a tree, outer ones first."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def defined_in(root: Path, folder: str, name: str) -> Place:
    """Where under a folder the function or class of that name is; there must be one."""
    found = [
        Place(str(path.relative_to(root)), name)
        for path in source_files(root, folder)
        for node in definitions(tree_of(path))
        if node.name == name
    ]
    if len(found) != 1:
        raise LookupError(f"{name} is defined {len(found)} times under {folder}")
    return found[0]


def used_in(root: Path, folder: str, name: str) -> list[Place]:
    """The innermost functions under a folder whose bodies use the name other than as an annotation."""
    found = []
    for path in source_files(root, folder):
        for function, node in _names(tree_of(path), None):
            if node.id == name and function is not None:
                found.append(Place(str(path.relative_to(root)), function))
    return list(dict.fromkeys(found))


def _names(node: ast.AST, function: str | None) -> Iterator[tuple[str | None, ast.Name]]:
    if isinstance(node, ast.Name):
        yield function, node
        return
    for child in _children(node):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from _names(child, inside)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node without its annotations."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield item
