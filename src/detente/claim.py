"""One run at a time in a folder: a file says who works there, and a claim whose process has died is void."""

import json
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detente.errors import InputError

FILE = ".claim"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder, which is made where it is not there; let go at the end, also after an error or Ctrl-C.

    A claim left by a process of this machine that is no longer alive (kill -9, power cut) is taken over. Raises
    `InputError` where another run holds the folder, where a claim of another machine is found (whether that run lives
    cannot be seen from here), and where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path, mine = folder / FILE, _claim()
        _take(path, mine)
    except OSError as error:
        raise InputError(
            f"`{folder}` cannot be written ({error.strerror}). Choose another folder."
        ) from error
    try:
        yield
    finally:
        if _read(path) == mine:
            path.unlink(missing_ok=True)


def _claim() -> str:
    pid = os.getpid()
    content = {"pid": pid, "host": socket.gethostname(), "started": _started(pid), "token": uuid.uuid4().hex}
    return json.dumps(content)


def _take(path: Path, mine: str) -> None:
    """Write the claim; the file system grants it to one."""
    try:
        _create(path, mine)
        return
    except FileExistsError:
        found = _read(path)
    if not _void(found):
        raise _held(path, found)
    aside = path.with_name(f"{FILE}.{uuid.uuid4().hex}")
    os.replace(path, aside)
    if (
        moved := _read(aside)
    ) != found:  # another run took it over between the reading and the moving: its claim stands
        os.replace(aside, path)
        raise _held(path, moved)
    aside.unlink()
    try:
        _create(path, mine)
    except FileExistsError:
        raise _held(path, _read(path)) from None


def _create(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644), "w") as stream:
        stream.write(text)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""


def _void(text: str) -> bool:
    """Whether the claim is of a process of this machine that is dead, or whose number another process has now."""
    try:
        content = json.loads(text)
        pid, host, started = content["pid"], content["host"], content["started"]
    except (ValueError, KeyError, TypeError):
        return False
    if host != socket.gethostname() or os.name == "nt":  # on Windows, asking by signal would end the process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(pid) != started


def _started(pid: int) -> str:
    """When the process began, in the kernel's count; empty where that cannot be read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _held(path: Path, text: str) -> InputError:
    try:
        content = json.loads(text)
        who = f"process {content['pid']} on {content['host']}"
    except (ValueError, KeyError, TypeError):
        who = "a process that has not said its name"
    return InputError(
        f"Another run works in `{path.parent}` ({who}). Wait for it, or choose another folder. "
        f"If that process is no longer alive, remove `{path}` and start again."
    )
