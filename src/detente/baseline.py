"""What was computed once for an economy's baseline, kept in memory while the economy lives and on disk between runs.

A file is named by a digest of everything that went into it, the version included, so a stale one is never read. One that is
damaged or of other shapes counts as absent and is made again.
"""

import dataclasses
import hashlib
import os
import tempfile
import weakref
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from detente.cache import cache_folder
from detente.economy import Economy
from detente.mending import KEPT, RANK
from detente.response import EXACT, Preconditioner, Tail
from detente.version import __version__

PARTS = ("first_inverse", "second_inverse", "first_response", "second_response", "outer_step")
TAIL = ("step", "across", "response", "first", "second", "weight", "basis", "mend", "gap_basis", "gap_mend")
WORTH_A_FILE = 1000  # countries × sectors below which computing is as quick as reading
FILES = 12  # kept on disk, up to 12 MB each for the embedded world; the oldest go first


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
    shapes = _shapes(economy)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = [file[name] for name in shapes]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    right = [array.shape for array in arrays] == list(shapes.values())
    if not right or not all(np.isfinite(array).all() for array in arrays):
        return None
    parts = [jnp.asarray(array) for array in arrays]
    tail = Tail(*parts[len(PARTS) :]) if len(parts) > len(PARTS) else None
    made = Preconditioner(*parts[: len(PARTS)], tail=tail)
    _remember(economy, made)
    return made


def keep(economy: Economy, made: Preconditioner) -> None:
    """Keep it in memory and, where there is a cache folder, on disk (whole or not at all)."""
    _remember(economy, made)
    path = _path(economy)
    if path is None:
        return
    with suppress(OSError):  # a full disk costs the next process a second or two, nothing else
        handle, temporary = tempfile.mkstemp(suffix=".npz", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                arrays = {name: np.asarray(getattr(made, name)) for name in PARTS}
                if made.tail is not None:
                    arrays |= {name: np.asarray(getattr(made.tail, name)) for name in TAIL}
                np.savez(file, allow_pickle=False, **arrays)
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        for old in sorted(path.parent.glob("*.npz"), key=lambda file: -file.stat().st_mtime)[FILES:]:
            old.unlink(missing_ok=True)


def _shapes(economy: Economy) -> dict[str, tuple[int, ...]]:
    """What each array kept for this economy must look like."""
    n, s = economy.output.shape
    stuck = economy.factor_mobility is not None or economy.resource_share is not None
    p = n + n * s if stuck and n + n * s <= EXACT else n
    square, wide = (n, s, s), s if economy.use_share is None else 2 * s
    shapes: list[tuple[int, ...]] = [square, (n, wide, wide), (n, s, p), (n, wide, p), (p, p)]
    if stuck and p == n:
        whole = n + n * s
        shapes += [square, (s, n, n), (n, s, n), square, square, (n, s), (whole, RANK), (RANK, RANK)]
        shapes += [(KEPT, whole + 2 * n * s), (KEPT, KEPT)]
    return dict(zip(PARTS + TAIL, shapes, strict=False))


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
    digest = hashlib.sha256(f"{__version__} {PARTS + TAIL} {economy.closure} {economy.output.shape}".encode())
    leaves, structure = jax.tree_util.tree_flatten(
        dataclasses.replace(economy, provenance={}, unit="", unit_value=1.0)
    )
    digest.update(str(structure).encode())
    for leaf in leaves:
        digest.update(np.ascontiguousarray(np.asarray(leaf)).data)
    return digest.hexdigest()
