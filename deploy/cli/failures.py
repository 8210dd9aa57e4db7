"""Every command that cannot do its job ends in a sentence that says what mends it, and in an exit code."""

import os
import sys
from typing import Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from deploy.client import ClientError, Refused, Unreachable
from deploy.local import LocalBackendError
from shared.observability import describe

INTERRUPTED: Final = 130


class Failure(Exception):
    """The command cannot go on; the message is for the person at the terminal."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def sentence(error: Exception) -> str:
    """An error in words: what happened and what mends it."""
    if isinstance(error, Unreachable):
        variable = f"FOQUALE_{error.service.upper()}_URL"
        return (
            f"{error}. Is it running? `foquale up` starts everything on this machine; "
            f"{variable} says where it is otherwise."
        )
    if isinstance(error, Refused):
        details = [
            f"{item.get('field') or item.get('in')}: {item.get('message')}"
            for item in error.problem.get("errors") or []
            if isinstance(item, dict) and item.get("message")
        ]
        return "\n  ".join([f"{error.service} refuses ({error.code}): {error.detail}", *details])
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}"
    return str(error)


class Commands(TyperGroup):
    """The group of all commands; no error leaves it as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        try:
            return super().invoke(ctx)
        except Failure as error:
            _tell(console, str(error))
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:  # whoever read our output has enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except (ClientError, LocalBackendError, OSError) as error:
            _tell(console, sentence(error))
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("typer", "click") or os.environ.get("FOQUALE_DEBUG"):
                raise  # theirs say what to do themselves
            _tell(console, f"an error of ours ({describe(error)}); FOQUALE_DEBUG=1 shows all of it.")
            raise typer.Exit(1) from None


def _tell(console: Console, message: str) -> None:
    console.print(f"[bold red]foquale:[/] {escape(message)}")
