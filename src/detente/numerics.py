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


def use_compilation_cache() -> None:
    """Keep compiled programs between runs, unless the user has chosen a folder or switched the cache off.

    The folder is the platform's cache folder for détente, or `DETENTE_CACHE` where set; `DETENTE_CACHE=off` disables.
    """
    chosen = os.environ.get("DETENTE_CACHE", "")
    if chosen == "off" or getattr(jax.config, "jax_compilation_cache_dir", None):
        return
    folder = Path(chosen or user_cache_dir("detente")) / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only home: compile in each process instead, slower and equally right
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


use_compilation_cache()
