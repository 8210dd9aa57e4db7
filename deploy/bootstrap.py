"""Make `.venv` from the lock file, with nothing but a system Python and a package index: `python3 deploy/bootstrap.py`.

Run by `make setup`, before anything is installed: standard library only, and readable by any Python 3, so that an old
one gets a sentence and not a SyntaxError. uv is taken from PATH when it is new enough, else a pinned one is installed
into `.foquale/tools`: by pip, or without it from where uv.lock says, checked by its hash. Where pip is set up for an
index of its own (PIP_INDEX_URL, pip.conf, UV_DEFAULT_INDEX), the packages come from there; the lock file's hashes hold
all the same.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from io import BytesIO
from pathlib import Path

UV_VERSION = "0.13.9"
OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".foquale" / "tools"
VENV = ROOT / ".venv"


class SetupError(Exception):
    """What is missing, and what to do about it."""


def main():
    """Set up, and end with 0; or with 1 and one clear message."""
    os.chdir(str(ROOT))
    try:
        python = find_python()
        install(find_uv(python), python)
    except SetupError as error:
        sys.exit("setup: {}".format(error))
    except OSError as error:
        sys.exit("setup: {}: {}".format(error.filename or "the system refused", error.strerror))
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; run it again to go on")


def find_python():
    """The path of a Python of the right version: the one that runs this, else one on PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which("python3.{}".format(minor))
        if found and run([found, "-c", "pass"], quiet=True):
            return found
    raise SetupError(
        "Python 3.11, 3.12 or 3.13 is needed; python3 is {}.{} and no other is on PATH. "
        "Install one (Debian, Ubuntu: python3.11), or name it: make setup PYTHON=/path/to/python3.12".format(
            *sys.version_info[:2]
        )
    )


def find_uv(python):
    """The path of a uv that is new enough: on PATH, or in `.foquale/tools`, installed there where need be."""
    wanted = version_of(UV_VERSION)
    local = [TOOLS / "bin" / "uv", TOOLS / "packages" / "bin" / "uv"]
    for candidate in [shutil.which("uv"), *local]:
        if candidate and os.access(str(candidate), os.X_OK) and uv_version(str(candidate)) >= wanted:
            return str(candidate)
    print("setup: installing uv {} into {}".format(UV_VERSION, TOOLS.relative_to(ROOT)), flush=True)
    shutil.rmtree(str(TOOLS), ignore_errors=True)
    requirement = "uv=={}".format(UV_VERSION)
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if run([python, "-c", "import ensurepip, venv"], quiet=True) and run([python, "-m", "venv", str(TOOLS)]):
        run([str(TOOLS / "bin" / "python"), *pip, requirement])
    elif run([python, "-m", "pip", "--version"], quiet=True):
        run([python, *pip, "--target", str(TOOLS / "packages"), requirement])
    else:
        unpack_locked_uv(python)
    for candidate in local:
        if os.access(str(candidate), os.X_OK):
            return str(candidate)
    raise SetupError("uv could not be installed (see above). Is a package index within reach?")


def unpack_locked_uv(python):
    """Without pip: download the wheel of uv that uv.lock names for this platform, and take the program out of it."""
    remedy = (
        "{} can neither make virtual environments nor run pip. Install the package python3-venv "
        "(Debian, Ubuntu: sudo apt-get install python3-venv), or uv, then try again.".format(python)
    )
    tag = "manylinux" if sys.platform == "linux" else "macosx"
    machine = platform.machine().lower()
    entry = re.compile(
        r'url = "([^"]+/uv-{}-[^"/]*{}[^"/]*_{}[.]whl)", hash = "sha256:([0-9a-f]+)"'.format(
            re.escape(UV_VERSION), tag, machine
        )
    )
    wheel = entry.search((ROOT / "uv.lock").read_text(encoding="utf-8"))
    if wheel is None:
        raise SetupError(remedy)
    try:
        with urllib.request.urlopen(wheel.group(1), timeout=60) as answer:
            content = answer.read()
    except OSError as error:
        raise SetupError("{} (Without pip, uv itself could not be fetched either: {}.)".format(remedy, error)) from None
    if hashlib.sha256(content).hexdigest() != wheel.group(2):
        raise SetupError("the uv that was fetched is not the one of uv.lock: its hash differs.")
    program = TOOLS / "bin" / "uv"
    program.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        program.write_bytes(archive.read("uv-{}.data/scripts/uv".format(UV_VERSION)))
    program.chmod(0o755)


def install(uv, python):
    """Bring `.venv` to what the lock file says, this project included."""
    index = own_index(python)
    if index is None:
        done = run([uv, "sync", "--locked", "--python", python])
    else:
        requirements = str(TOOLS.parent / "requirements.txt")
        TOOLS.parent.mkdir(parents=True, exist_ok=True)
        pip = ["--python", str(VENV), "--default-index", index]
        done = (
            run([uv, "venv", "--quiet", "--allow-existing", "--python", python, str(VENV)])
            and run([uv, "export", "--quiet", "--frozen", "--no-emit-project", "--output-file", requirements])
            and run([uv, "pip", "sync", "--require-hashes", *pip, requirements])
            and run([uv, "pip", "install", "--quiet", "--no-deps", *pip, "--editable", "."])
        )
    if not done:
        raise SetupError("the packages of uv.lock could not be installed (see above).")
    compile_all()


def compile_all():
    """Compile what a service imports, once: else each start does it, where PYTHONDONTWRITEBYTECODE is set."""
    folders = ["services", "shared", "deploy", "tests", *map(str, VENV.glob("lib/python3*/site-packages"))]
    run([str(VENV / "bin" / "python"), "-m", "compileall", "-qq", "-j", "0", *folders], quiet=True)


def own_index(python):
    """The URL of the index that this machine is set up to use instead of the public one, or None."""
    for variable in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(variable):
            return os.environ[variable]
    answer = subprocess.run(
        [python, "-m", "pip", "config", "get", "global.index-url"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return answer.stdout.decode().strip() or None


def run(command, quiet=False):
    """Did the command succeed? Its output is shown unless `quiet`."""
    environment = dict(os.environ, UV_PYTHON_DOWNLOADS="never", UV_PROJECT_ENVIRONMENT=str(VENV))
    environment.pop("VIRTUAL_ENV", None)
    if "PIP_CERT" in environment:
        environment.setdefault("SSL_CERT_FILE", environment["PIP_CERT"])
    output = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.run(command, env=environment, stdout=output, stderr=output, check=False).returncode == 0
    except OSError as error:
        if not quiet:
            print("setup: cannot run {}: {}".format(command[0], error.strerror), file=sys.stderr)
        return False


def uv_version(uv):
    """The version of this uv, (0,) when it cannot say."""
    try:
        answer = subprocess.run([uv, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return (0,)
    return version_of(answer.stdout.decode())


def version_of(text):
    """The first dotted number in a text, as a tuple; (0,) when there is none."""
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in found.group().split(".")) if found else (0,)


if __name__ == "__main__":
    main()
