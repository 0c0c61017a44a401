"""Float64 arithmetic, one thread a product, and a compilation cache that outlives the process.

Imported before any array is made. JAX computes in single precision unless told otherwise, and compiles anew in each
process unless given a folder to keep its compiled programs in. Its pool of threads for matrix products can wait for
itself forever on machines with few cores (PyAutoLabs/PyAutoFit issue 1528 has the measurements); our products are small
enough that one thread is as fast, so the pool is switched off. A user who sets the flag in XLA_FLAGS keeps their choice.
"""

import os
from pathlib import Path

_POOL = "--xla_cpu_multi_thread_eigen"
if _POOL not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_POOL}=false".strip()

import jax  # noqa: E402  (reads XLA_FLAGS when its first backend starts)
from platformdirs import user_cache_dir  # noqa: E402

jax.config.update("jax_enable_x64", True)


def use_compilation_cache() -> None:
    """Keep compiled programs between runs, unless the user has chosen a folder or switched the cache off.

    The folder is the platform's cache folder for détente, or `DETENTE_CACHE` where set; `DETENTE_CACHE=off` disables.
    """
    chosen = os.environ.get("DETENTE_CACHE", "")
    if chosen == "off" or jax.config.jax_compilation_cache_dir:
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
