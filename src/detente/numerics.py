"""Float64 arithmetic and a compilation cache that outlives the process.

Imported before any array is made. JAX computes in single precision unless told otherwise, and compiles anew in each
process unless given a folder to keep its compiled programs in.

No compiled function of détente calls LAPACK (`jnp.linalg`): on a machine with two cores, two batched LAPACK calls that XLA
runs side by side wait for each other's threads forever. Factorisations are done in NumPy, outside.
"""

import os
from pathlib import Path

import jax
from platformdirs import user_cache_dir

jax.config.update("jax_enable_x64", True)


def cache_folder(kind: str) -> Path | None:
    """A folder of that name in the platform's cache folder for détente, or in `DETENTE_CACHE` where set.

    None where `DETENTE_CACHE=off`, or where nothing can be written (a read-only home): everything is then computed in each
    process, slower and equally right.
    """
    chosen = os.environ.get("DETENTE_CACHE", "")
    if chosen == "off":
        return None
    folder = Path(chosen or user_cache_dir("detente")) / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def use_compilation_cache() -> None:
    """Keep compiled programs between runs, unless the user has chosen a folder for JAX or switched the cache off."""
    folder = cache_folder("compiled")
    if folder is None or getattr(jax.config, "jax_compilation_cache_dir", None):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


use_compilation_cache()
