"""Run a command that the kernel ends together with the process that started it: `PARENT_PID SIGNAL COMMAND...`.

Executed as a script between the parent and the command (see `processes.Process`): it asks for the death signal
(Linux, `prctl(PR_SET_PDEATHSIG)`; elsewhere it does nothing) and then becomes the command. A script instead of
`preexec_fn`, which may deadlock when the parent has threads. Standard library only: it runs with `-I -S`.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the death signal, then replace this process by the command."""
    parent, signal_number, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit("the parent ended before its child began")  # died before the request: nothing would tell us
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
