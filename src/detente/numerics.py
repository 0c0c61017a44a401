"""Float64 arithmetic and a compilation cache that outlives the process.

Imported before any array is made. JAX computes in single precision unless told otherwise, and compiles anew in each
process unless given a folder to keep its compiled programs in.

No compiled function of détente calls LAPACK (`jnp.linalg`): on a machine with two cores, two batched LAPACK calls that XLA
runs side by side wait for each other's threads forever. Factorisations are done in NumPy, outside.
"""

import jax

from detente.cache import cache_folder

jax.config.update("jax_enable_x64", True)


def use_compilation_cache() -> None:
    """Keep compiled programs between runs, unless the user has chosen a folder for JAX or switched the cache off."""
    folder = cache_folder("compiled")
    if folder is None or getattr(jax.config, "jax_compilation_cache_dir", None):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


use_compilation_cache()
