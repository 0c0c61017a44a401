"""What was computed once for an economy's baseline, kept in memory while the economy lives and on disk between runs.

A file is named by a digest of everything that went into it, the version included, so a stale one is never read. One that is
damaged or of other shapes counts as absent and is made again.
"""

import hashlib
import os
import tempfile
import weakref
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from detente.cache import cache_folder
from detente.economy import Economy
from detente.solver import Preconditioner
from detente.version import __version__

PARTS = ("first_inverse", "second_inverse", "first_response", "second_response", "outer_step")
WORTH_A_FILE = 1000  # countries × sectors below which computing is as quick as reading
FILES = 12  # kept on disk, 4 MB each for the embedded world; the oldest go first


class _Kept(NamedTuple):
    owner: weakref.ref
    preconditioner: Preconditioner


_KEPT: dict[int, _Kept] = {}


def kept(economy: Economy) -> Preconditioner | None:
    """What was kept for this economy, from memory or disk; None where there is nothing."""
    found = _KEPT.get(id(economy))
    if found is not None and found.owner() is economy:
        return found.preconditioner
    path = _path(economy)
    if path is None or not path.exists():
        return None
    n, s = economy.output.shape
    shapes = [(n, s, s), (n, s, s), (n, s, n), (n, s, n), (n, n)]
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = [file[name] for name in PARTS]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if [array.shape for array in arrays] != shapes or not all(np.isfinite(array).all() for array in arrays):
        return None
    made = Preconditioner(*(jnp.asarray(array) for array in arrays))
    _remember(economy, made)
    return made


def keep(economy: Economy, made: Preconditioner) -> None:
    """Keep it in memory and, where there is a cache folder, on disk (whole or not at all)."""
    _remember(economy, made)
    path = _path(economy)
    if path is None:
        return
    with suppress(OSError):  # a full disk costs the next process a fifth of a second, nothing else
        handle, temporary = tempfile.mkstemp(suffix=".npz", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                arrays = {name: np.asarray(getattr(made, name)) for name in PARTS}
                np.savez(file, allow_pickle=False, **arrays)
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        for old in sorted(path.parent.glob("*.npz"), key=lambda file: -file.stat().st_mtime)[FILES:]:
            old.unlink(missing_ok=True)


def _remember(economy: Economy, made: Preconditioner) -> None:
    key = id(economy)
    _KEPT[key] = _Kept(weakref.ref(economy, lambda _: _KEPT.pop(key, None)), made)


def _path(economy: Economy) -> Path | None:
    if economy.output.size < WORTH_A_FILE:
        return None
    folder = cache_folder("baselines")
    return None if folder is None else folder / f"{_digest(economy)}.npz"


def _digest(economy: Economy) -> str:
    """A digest of version, closure and every array of the economy."""
    digest = hashlib.sha256(f"{__version__} {economy.closure} {economy.output.shape}".encode())
    for name in sorted(vars(economy)):
        value = getattr(economy, name)
        if hasattr(value, "dtype"):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(np.asarray(value)).data)
    return digest.hexdigest()
