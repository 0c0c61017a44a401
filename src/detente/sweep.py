"""Many equilibria in blocks, here or on a cluster, into one Parquet data set; what is done is never done again.

A sweep is a plan (JSON: all that determines the results), a number of blocks, and a function `work(plan, block)` that
returns the rows of a block. Blocks are computed in this process, in several on this machine, or by the workers of a
`dask.distributed` scheduler; whoever computes returns the bytes of a part, and this process writes them, so workers
need no common disk. docs/sweeps.md says how it is run.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import socket
from concurrent.futures import CancelledError
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detente.claim import claimed
from detente.errors import DetenteError, InputError
from detente.parts import EXTRA, Manifest, Parts, arrow, difference, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    import pandas as pd

RETRIES = 2  # of a block on a cluster after an error of the machine; a refusal of détente is final at once
LOST = "The scheduler was lost, or the block was cancelled there."
KEPT = "The parts that are done are kept: run the same again to go on."


@dataclass(frozen=True)
class SweepResult:
    """A finished sweep. computed: blocks computed by this run. damaged: those of them whose part was there, not whole.

    rows: of all parts together.
    """

    folder: Path
    blocks: int
    rows: int
    computed: tuple[int, ...]
    damaged: tuple[int, ...]


@dataclass
class _State:
    """Rows by block so far, and the columns that all parts have."""

    rows: dict[int, int] = field(default_factory=dict)
    columns: Any = None

    def add(self, block: int, table: Any) -> None:
        if self.columns is not None and table.schema != self.columns:
            raise InputError(
                f"Block {block} has the columns {_columns(table.schema)}; those before it have "
                f"{_columns(self.columns)}. All blocks must have the same."
            )
        self.columns = table.schema
        self.rows[block] = table.num_rows


def run_sweep(
    folder: str | Path,
    plan: Mapping[str, Any],
    function: str,
    blocks: int,
    *,
    scheduler: str | None = None,
    workers: int = 1,
    fresh: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> SweepResult:
    """Compute all blocks that the folder does not have yet, and write each as a part as soon as it is there.

    function: dotted name of `work(plan, block)`, which returns a data frame or a mapping of arrays that depend on its
    arguments alone. scheduler: address of a dask scheduler (`tcp://host:8786`); else `workers` processes of this machine
    compute, with one this process itself. fresh: remove what the folder has. progress is told how many blocks are done,
    and of how many.

    Raises `InputError` where the folder holds another sweep or another run works in it, and for a plan, function,
    scheduler or worker that cannot be used. An error of a block ends the run and names the block; parts done stay.
    """
    if workers < 1 or (scheduler and workers != 1):
        raise InputError(
            f"workers={workers}: give at least one, and none beside a scheduler, which has its own workers."
        )
    _function(function)
    parts = Parts(Path(folder), Manifest.of(plan, function, blocks))
    report = progress or (lambda done, of: None)
    with claimed(parts.folder):
        parts.begin(fresh)
        state, damaged = _found(parts)
        todo = [block for block in range(blocks) if block not in state.rows]
        report(len(state.rows), blocks)
        with closing(_computed(parts, todo, scheduler, workers)) as computed:
            for block, data in computed:
                table = parts.decode(block, data)
                if table is None:
                    raise DetenteError(f"Block {block} did not arrive whole. {KEPT}")
                state.add(block, table)
                parts.write(block, data)
                report(len(state.rows), blocks)
    return SweepResult(parts.folder, blocks, sum(state.rows.values()), tuple(todo), tuple(damaged))


def _found(parts: Parts) -> tuple[_State, list[int]]:
    """What the folder has: whole parts, and the blocks whose file is not whole."""
    state, damaged = _State(), []
    for block in range(parts.manifest.blocks):
        data = parts.read(block)
        table = parts.decode(block, data)
        if table is not None:
            state.add(block, table)
        elif data is not None:
            damaged.append(block)
    return state, damaged


def read_sweep(folder: str | Path, *, allow_partial: bool = False) -> pd.DataFrame:
    """The rows of all parts, in the order of blocks, each part checked to the last bit.

    `allow_partial` leaves out blocks that are not there or not whole, and lists them in `.attrs["missing"]`. Raises
    `InputError` where the folder holds no sweep, and without `allow_partial` where a block is missing.
    """
    pa, _ = arrow()
    parts = Parts.open(folder)
    tables = {block: parts.decode(block, parts.read(block)) for block in range(parts.manifest.blocks)}
    missing = [block for block, table in tables.items() if table is None]
    found = [table for table in tables.values() if table is not None]
    if missing and not allow_partial:
        raise _incomplete(parts, missing)
    if not found:
        raise InputError(f"`{folder}` has no finished part yet. Run the sweep first.")
    frame = pa.concat_tables(found).to_pandas()
    frame.attrs["missing"] = missing
    return frame


def sweep_digest(folder: str | Path) -> str:
    """SHA-256 over the files of all parts in the order of blocks: the same for the same plan, however it was run.

    Raises `InputError` where the folder holds no sweep or a block is missing.
    """
    parts, found, missing = Parts.open(folder), hashlib.sha256(), []
    for block in range(parts.manifest.blocks):
        data = parts.read(block)
        if data is None or parts.decode(block, data) is None:
            missing.append(block)
        else:
            found.update(hashlib.sha256(data).digest())
    if missing:
        raise _incomplete(parts, missing)
    return found.hexdigest()


def _incomplete(parts: Parts, missing: Sequence[int]) -> InputError:
    shown = ", ".join(map(str, missing[:8])) + (", …" if len(missing) > 8 else "")
    return InputError(
        f"`{parts.folder}` lacks {len(missing)} of {parts.manifest.blocks} blocks ({shown}). Run the same sweep again "
        "to complete it, or read what is there with `allow_partial=True`."
    )


def _columns(schema: Any) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)


# Computing --------------------------------------------------------------------------------------------------


def _function(name: str) -> Callable[[dict[str, Any], int], Any]:
    """The function of a dotted name. It is the caller's; none is ever imported because a file says so."""
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"`{name}` cannot be imported ({error}). Name a function at the top of a module, as in `package.module.work`."
        ) from error
    return found


def _attempt(parts: Parts, block: int) -> bytes | DetenteError:
    """Compute a block, on whichever machine. What détente refuses is returned: to try it again would not help."""
    try:
        keys = list(difference(versions(), parts.manifest.versions))
        if keys:
            where = f"The worker on {socket.gethostname()} has other packages than this run"
            raise InputError(f'{where}: {", ".join(keys)}. Install the same "detente[sweep]" there.')
        return parts.encode(block, _function(parts.manifest.function)(parts.manifest.plan, block))
    except DetenteError as error:
        return error


def _computed(
    parts: Parts, todo: Sequence[int], scheduler: str | None, workers: int
) -> Generator[tuple[int, bytes]]:
    """Blocks with the bytes of their parts, as they are done. Raises the error of a block with its number in it."""
    if not todo:
        return
    if scheduler is None and workers == 1:
        attempts = ((block, lambda block=block: _attempt(parts, block)) for block in todo)
    else:
        attempts = _on_cluster(parts, todo, scheduler, workers)
    with closing(attempts):
        for block, outcome in attempts:
            try:
                made = outcome()
            except Exception as error:
                error.add_note(f"This was in block {block} of the sweep in {parts.folder}. {KEPT}")
                raise
            if isinstance(made, DetenteError):
                raise type(made)(f"Block {block} of {parts.manifest.blocks}: {made} {KEPT}") from made
            yield block, made


def _on_cluster(
    parts: Parts, todo: Sequence[int], scheduler: str | None, workers: int
) -> Generator[tuple[int, Callable[[], Any]]]:
    """Blocks as workers finish them. No more are handed out than twice the threads there are: results do not pile up."""
    with _client(scheduler, workers) as (distributed, client):
        waiting, pending, done = iter(todo), {}, distributed.as_completed(loop=client.loop)

        def hand_out() -> None:
            room = _room(client)
            while len(pending) < room and (block := next(waiting, None)) is not None:
                future = client.submit(_attempt, parts, block, pure=False, retries=RETRIES)
                pending[future] = block
                done.add(future)

        hand_out()
        for future in done:
            block = pending.pop(future)
            yield block, lambda future=future, block=block: _fetched(distributed, future, block)
            hand_out()


def _room(client: Any) -> int:
    """How many blocks may be in flight: twice the threads, and some where a cluster grows with its queue."""
    try:
        return max(8, 2 * sum(client.nthreads().values()))
    except OSError as error:
        raise DetenteError(f"{LOST} {KEPT}") from error


def _fetched(distributed: Any, future: Any, block: int) -> Any:
    """What a worker returned, or what went wrong there."""
    try:
        return future.result()
    except distributed.KilledWorker as error:
        return DetenteError(
            f"{error.allowed_failures + 1} workers died over it. Look for memory (fewer draws a block, more memory a "
            "worker) and for a limit of time of the cluster."
        )
    except CancelledError:
        return DetenteError(LOST)
    except ImportError as error:
        return InputError(
            f'A worker cannot import what the run needs ({error}). Install the same "detente[sweep]" and the module of '
            "the function there."
        )


@contextmanager
def _client(scheduler: str | None, workers: int) -> Iterator[tuple[Any, Any]]:
    """`distributed` and a client of the scheduler at that address, or of one with `workers` processes of this machine."""
    try:
        import distributed
    except ImportError as error:
        raise InputError(f"Several processes need `dask.distributed`, which is missing. {EXTRA}") from error
    with ExitStack() as stack:
        if scheduler is None:
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                memory_limit=0,  # a worker is not killed for its share of memory
                silence_logs=logging.CRITICAL,  # what matters comes back as an error of a block
            )
            stack.enter_context(cluster)
            scheduler = cluster.scheduler_address
        try:
            client = distributed.Client(scheduler, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"No dask scheduler answers at `{scheduler}` ({error}). Start one with `dask scheduler`, and give the "
                "address that it prints, as tcp://host:8786."
            ) from error
        yield distributed, stack.enter_context(client)
