"""A Parquet data set that comes about part by part: each part is whole, and says which sweep and block it belongs to.

A folder holds `manifest.json` (what determines the results) and `part-00000.parquet`, `part-00001.parquet`, … Files are
written under a temporary name, brought to the disk and renamed. The same rows give the same bytes: compression and page
layout are set here, and nothing of the time, the machine or the order of work is written.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detente.errors import InputError
from detente.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

FORMAT = "detente-sweep 1"
MANIFEST = "manifest.json"
MARK = b"detente"  # the key in the metadata of a part
PACKAGES = (
    "numpy",
    "scipy",
    "jax",
    "jaxlib",
    "pandas",
    "pyarrow",
)  # whose versions can change a bit of a result
EXTRA = 'Install what sweeps need: pip install "detente[sweep]".'
ANEW = "Choose another folder, or begin this one anew with --fresh (in Python `fresh=True`), which removes its parts."


def arrow() -> tuple[Any, Any]:
    """The modules `pyarrow` and `pyarrow.parquet`; `InputError` where they are not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"A sweep writes Parquet, and `pyarrow` is missing. {EXTRA}") from error
    return pyarrow, pyarrow.parquet


def versions() -> dict[str, str]:
    """Versions of détente and of the packages that results pass through. `InputError` where sweeps cannot be written."""
    arrow()
    return {"detente": __version__} | _installed()


@cache
def _installed() -> dict[str, str]:
    return {name: metadata.version(name) for name in PACKAGES}


def difference(there: Any, here: Any, path: str = "") -> Iterator[str]:
    """Where two JSON values differ, one line a key: `plan.seed (1 there, 2 here)`."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*there, *here]):
            yield from difference(there.get(key), here.get(key), f"{path}.{key}" if path else f"{key}")
    elif there != here:
        yield f"{path} ({_short(there)} there, {_short(here)} here)"


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}…"


@dataclass(frozen=True)
class Manifest:
    """What determines the results of a sweep. function: dotted name. versions: of packages. plan: JSON."""

    function: str
    blocks: int
    versions: dict[str, str]
    plan: dict[str, Any]

    @classmethod
    def of(cls, plan: Mapping[str, Any], function: str, blocks: int) -> Manifest:
        """For a sweep begun here. Raises `InputError` for a plan that is not JSON and a number of blocks below one."""
        if blocks < 1:
            raise InputError(f"A sweep has at least one block, not {blocks}.")
        try:
            content = json.loads(json.dumps(dict(plan), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"The plan of a sweep must be JSON (text, finite numbers, lists, mappings): {error}."
            ) from error
        return cls(function, blocks, versions(), content)

    @property
    def content(self) -> dict[str, Any]:
        """As a mapping, in the order in which it is written."""
        said = {"format": FORMAT, "function": self.function, "blocks": self.blocks}
        return said | {"versions": self.versions, "plan": self.plan}

    @property
    def digest(self) -> str:
        """SHA-256 of `content`."""
        text = json.dumps(self.content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Parts:
    """The folder of a sweep."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path) -> Parts:
        """What lies in a folder. Raises `InputError` where that is no sweep, or its manifest was changed."""
        path = Path(folder) / MANIFEST
        try:
            said = json.loads(path.read_text("utf-8"))
            manifest = Manifest(said["function"], said["blocks"], said["versions"], said["plan"])
            known, digest = said["format"] == FORMAT, said["digest"]
        except FileNotFoundError as error:
            raise InputError(
                f"`{folder}` holds no sweep: it has no {MANIFEST}. Name the folder that a run was given."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"`{path}` cannot be read as a manifest ({error}). {ANEW}") from error
        if not known:
            raise InputError(f"`{path}` has format {said['format']!r}, not {FORMAT!r}. {ANEW}")
        if digest != manifest.digest:
            raise InputError(f"`{path}` was changed after it was written: its digest is another. {ANEW}")
        return cls(Path(folder), manifest)

    def begin(self, fresh: bool = False) -> None:
        """Make the folder ready: leftovers of a killed run go, the manifest is written or compared.

        Raises `InputError` where the folder holds another sweep, naming the keys that differ.
        """
        for pattern in (f".{MANIFEST}.*.tmp", ".part-*.tmp"):
            for path in self.folder.glob(pattern):
                path.unlink()
        old = sorted(self.folder.glob("part-[0-9]*.parquet"))
        if fresh:
            for path in old:
                path.unlink()
        elif (self.folder / MANIFEST).exists():
            there = Parts.open(self.folder).manifest.content
            keys = list(difference(there, self.manifest.content))
            if keys:
                more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
                raise InputError(
                    f"`{self.folder}` holds another sweep; different are {', '.join(keys[:5])}{more}. {ANEW}"
                )
            return
        elif old:
            raise InputError(f"`{self.folder}` holds {old[0].name} and no {MANIFEST}. {ANEW}")
        content = self.manifest.content | {"digest": self.manifest.digest}
        _write(
            self.folder / MANIFEST, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8")
        )

    def path(self, block: int) -> Path:
        """Where the part of a block lies; names sort in the order of blocks."""
        return self.folder / f"part-{block:0{max(5, len(str(self.manifest.blocks - 1)))}d}.parquet"

    def read(self, block: int) -> bytes | None:
        """The file, None where it is not there. Whether it is whole, `decode` says."""
        try:
            return self.path(block).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, block: int, data: bytes) -> None:
        """Put a part in its place, whole. Raises `InputError` where it cannot be written."""
        _write(self.path(block), data)

    def encode(self, block: int, result: Any) -> bytes:
        """The part as Parquet: `result` is a data frame or a mapping of one-dimensional arrays of one length.

        Raises `InputError` for columns that are not numbers, truth values or text, and for missing values (NaN is a
        number).
        """
        pa, parquet = arrow()
        table = _table(pa, result, block)
        mark = {"sweep": self.manifest.digest, "block": block, "content": _content(table)}
        table = table.replace_schema_metadata({MARK: json.dumps(mark).encode()})
        stream = io.BytesIO()
        parquet.write_table(
            table,
            stream,
            row_group_size=max(1, table.num_rows),
            version="2.6",
            data_page_version="1.0",
            compression="zstd",
            compression_level=3,
            use_dictionary=[field.name for field in table.schema if field.type == pa.string()],
            write_statistics=False,
            write_page_checksum=True,
        )
        return stream.getvalue()

    def decode(self, block: int, data: bytes | None) -> pa.Table | None:
        """The rows of a part; None unless it is whole, of this sweep and of this block, to the last bit of its rows."""
        pa, parquet = arrow()
        if data is None:
            return None
        try:
            table = parquet.ParquetFile(io.BytesIO(data), page_checksum_verification=True).read()
            mark = json.loads(table.schema.metadata[MARK])
            found = mark["sweep"], mark["block"], mark["content"]
            right = found == (self.manifest.digest, block, _content(table))
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
            return None
        return table.replace_schema_metadata(None) if right else None


def _table(pa: Any, result: Any, block: int) -> pa.Table:
    """The columns as they are: no index, NaN stays NaN."""
    try:
        columns = {str(name): pa.array(np.asarray(values)) for name, values in result.items()}
        table = pa.table(columns)
    except (AttributeError, pa.ArrowException) as error:
        raise InputError(
            f"Block {block}: a part is a data frame or a mapping of arrays of one length and one kind each ({error})."
        ) from error
    for field, column in zip(table.schema, table.columns, strict=True):
        number = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        if not (number or field.type in (pa.bool_(), pa.string())) or column.null_count:
            missing = f", {column.null_count} missing" if column.null_count else ""
            raise InputError(
                f"Block {block}, column `{field.name}` ({field.type}{missing}): numbers, truth values or text are "
                "expected, and NaN or an empty text where there is no value."
            )
    return table


def _content(table: pa.Table) -> str:
    """SHA-256 over names, types and values of all columns."""
    found = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        found.update(json.dumps([name, str(column.type), len(column)]).encode())
        values = column.to_numpy()
        found.update(json.dumps(values.tolist()).encode() if values.dtype == object else values.tobytes())
    return found.hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Under a temporary name in the same folder, brought to the disk, renamed: after a power cut, whole or not there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        _bring_to_disk(path.parent)
    except OSError as error:
        raise InputError(
            f"`{path}` cannot be written ({error.strerror}). Make room, then run the same again: the rest is kept."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _bring_to_disk(folder: Path) -> None:
    """The names in a folder; some systems cannot be asked, and there a name may be lost with the power, never half."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
