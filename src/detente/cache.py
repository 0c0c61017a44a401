"""Where things made once are kept between runs."""

import os
from pathlib import Path

from platformdirs import user_cache_dir


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
