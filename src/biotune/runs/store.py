"""The stored results of a run: one SQLite file, one writer, durable on return; reading needs no torch."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from biotune.errors import DamagedStateError, InputError
from biotune.recipe import Recipe
from biotune.records import Evaluation, Task

SCHEMA_VERSION = 3
"""Format 1 had no column ``search``. Format 3 stores a digest instead of long genes, and the named values of a
recipe with candidates and tasks. Older files are read as they are, and upgraded
when they are written to."""
LONGEST_GENES = 1000
"""Candidates with more genes are stored by the digest of their genes: a search repeats its points when it is replayed,
while the 51,200 weights of a last layer would take a megabyte each."""
APPLICATION_ID = 0x42694F54
"""SQLite's mark of the kind of file: the ASCII codes of ``BiOT``."""
PLAN = "plan"
"""Name of the fact that says how many trainings each phase of the run will need in all."""
SIZING = "sizing"
"""Name of the fact that says how network and input size were chosen."""
PATIENCE_S = 10.0
"""How long to wait for another program that holds the file."""
MAIN_SEARCH = "search"
"""Name of a run's own search; a comparison runs others beside it."""

_TABLES = {
    "trainings": "key TEXT PRIMARY KEY, phase TEXT NOT NULL, task TEXT NOT NULL, result TEXT NOT NULL,"
    " seconds REAL NOT NULL, digest TEXT NOT NULL",
    "candidates": "search TEXT NOT NULL, sequence INTEGER NOT NULL, row TEXT NOT NULL, digest TEXT NOT NULL,"
    " PRIMARY KEY (search, sequence)",
    "facts": "name TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL",
}


@dataclass(frozen=True)
class Candidate:
    """One evaluated point of the search.

    Args:
        sequence: position in ask order, from 0.
        generation: generation of the batch.
        kind: ``new``, ``probe`` or ``reevaluate``; see ``Batch``.
        fold: training fold.
        genes: the genes that the search asked for; their digest if there are more than ``LONGEST_GENES``, see
            ``stored_genes``.
        recipe: the decoded genes; it freezes every block if they are infeasible. None if the search is not for recipes,
            or if the reader of the store does not know the network.
        outcome: as of ``Evaluation``.
        fitness: mean over the search seeds, higher is better; at the rung where the candidate stopped.
        finished: whether it reached the last rung.
    """

    sequence: int
    generation: int
    kind: str
    fold: int
    genes: tuple[float, ...] | str
    recipe: Recipe | None
    outcome: str
    fitness: float
    finished: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary; it has the recipe's multipliers, and its named values if there are any."""
        fields = {name: value for name, value in vars(self).items() if name != "recipe"}
        fields["multipliers"] = self.recipe.multipliers if self.recipe else ()
        if self.recipe and self.recipe.values:
            fields["values"] = dict(self.recipe.values)
        return fields

    @classmethod
    def from_json(cls, data: dict[str, Any], like: Recipe | None = None) -> Self:
        """Rebuild from ``to_json``; ``like`` is a recipe of the same network, None leaves out the recipe."""
        fields = dict(data)
        multipliers, values = fields.pop("multipliers"), fields.pop("values", {})
        recipe = like.with_multipliers(multipliers).with_values(values) if like and multipliers else None
        genes = fields.pop("genes")
        return cls(genes=genes if isinstance(genes, str) else tuple(genes), recipe=recipe, **fields)


def stored_genes(genes: NDArray[np.float64]) -> tuple[float, ...] | str:
    """Return the form in which a candidate's genes, shape (num_genes,), are stored.

    More than ``LONGEST_GENES`` are ``sha256:`` and the digest of their bytes (little-endian float64).
    """
    return tuple(map(float, genes)) if len(genes) <= LONGEST_GENES else genes_digest(genes)


def genes_digest(genes: NDArray[np.float64]) -> str:
    """Return ``sha256:`` and the digest of the bytes of genes (little-endian float64)."""
    return f"sha256:{hashlib.sha256(np.asarray(genes, dtype='<f8').tobytes()).hexdigest()}"


class RunStore:
    """The trainings, candidates and facts of one run.

    Every row has a digest of its content, so that a flipped byte is noticed and refused.

    Args:
        path: ``run.sqlite``; created if missing.
        read_only: open for reading only, while another process may write.

    Raises:
        DamagedStateError: the file is not a store of this format, or it is damaged.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        try:
            target = f"file:{_quoted(path)}?mode={_mode(path) if read_only else 'rwc'}"
            self._connection = sqlite3.connect(target, uri=True, isolation_level=None, timeout=PATIENCE_S)
            self._open(read_only)
        except sqlite3.Error as error:
            raise self._trouble(error) from None

    def _open(self, read_only: bool) -> None:
        execute = self._connection.execute
        tables = execute("SELECT count(*) FROM sqlite_master").fetchone()[0]  # first: both are there from one moment on
        (application_id,) = execute("PRAGMA application_id").fetchone()
        if tables and application_id != APPLICATION_ID:
            raise DamagedStateError(f"'{self.path}' is not a run store of biotune; move it away or restore a copy.")
        if not tables:
            self._create(read_only)
        execute = self._connection.execute
        execute("PRAGMA synchronous=FULL")
        (self._version,) = execute("PRAGMA user_version").fetchone()
        if not 1 <= self._version <= SCHEMA_VERSION:
            raise DamagedStateError(
                f"'{self.path}' has format {self._version}; this version reads 1 to {SCHEMA_VERSION}."
            )
        problems = str(execute("PRAGMA quick_check").fetchone()[0]).splitlines()
        if problems != ["ok"]:
            first = next((line for line in problems if not line.startswith("***")), "unreadable")  # below a heading
            raise DamagedStateError(f"'{self.path}' is damaged ({first}); restore a copy or start a new run.")
        if self._version < SCHEMA_VERSION and not read_only:
            self._upgrade()

    def _create(self, read_only: bool) -> None:
        """Make the tables: in the file or, to read what a process left that was killed before it did, in memory."""
        if read_only:
            self._connection.close()
            self._connection = sqlite3.connect(":memory:", isolation_level=None)
        else:
            self._connection.execute("PRAGMA journal_mode=WAL")
        with self._transaction():
            self._connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            for name, columns in _TABLES.items():
                self._connection.execute(f"CREATE TABLE {name} ({columns})")

    def _upgrade(self) -> None:
        """Upgrade a store of an older format, in one transaction."""
        rows = self._candidate_rows(MAIN_SEARCH)
        with self._transaction():
            if self._version == 1:
                self._connection.execute("DROP TABLE candidates")
                self._connection.execute(f"CREATE TABLE candidates ({_TABLES['candidates']})")
                self._insert_candidates(rows, MAIN_SEARCH)
            self._connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._version = SCHEMA_VERSION

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> "RunStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def result(self, task: Task) -> Evaluation | None:
        """Return the stored result of a task, or None."""
        rows = self._rows("SELECT task, result, seconds, digest FROM trainings WHERE key=?", (task.key,))
        for text, result, seconds, digest in rows:
            self._verify(digest, task.key, text, result, seconds)
            return Evaluation.from_json({**json.loads(result), "seconds": seconds})
        return None

    def add_result(self, phase: str, task: Task, evaluation: Evaluation) -> None:
        """Store the result of a task; durable when this returns."""
        fields = evaluation.to_json()
        seconds = fields.pop("seconds")
        text, result = _dump(task.to_json()), _dump(fields)
        digest = _digest(task.key, text, result, seconds)
        self._write(
            "INSERT OR REPLACE INTO trainings VALUES (?,?,?,?,?,?)", (task.key, phase, text, result, seconds, digest)
        )

    def seconds(self, phase: str | None = None) -> float:
        """Return the stored training seconds, of one phase or of all."""
        where, values = ("WHERE phase=?", (phase,)) if phase else ("", ())
        return float(next(self._rows(f"SELECT coalesce(sum(seconds), 0) FROM trainings {where}", values))[0])

    def trainings(self, phase: str | None = None) -> list[tuple[str, dict[str, Any], Evaluation]]:
        """Return (phase, task fields, result) of all trainings, ordered by key."""
        rows = []
        for key, name, text, result, seconds, digest in self._rows("SELECT * FROM trainings ORDER BY key"):
            self._verify(digest, key, text, result, seconds)
            if phase in (None, name):
                evaluation = Evaluation.from_json({**json.loads(result), "seconds": seconds})
                rows.append((name, json.loads(text), evaluation))
        return rows

    def candidates(self, search: str = MAIN_SEARCH, like: Recipe | None = None) -> list[Candidate]:
        """Return the evaluated points of a search in ask order; their recipes only with a recipe of the network."""
        return [Candidate.from_json(row, like) for row in self._candidate_rows(search)]

    def num_candidates(self) -> int:
        """Return the number of evaluated points of all searches together."""
        return int(next(self._rows("SELECT count(*) FROM candidates"))[0])

    def _candidate_rows(self, search: str) -> list[dict[str, Any]]:
        columns, values = "SELECT sequence, row, digest FROM candidates", tuple[str, ...]()
        if self._version > 1:
            columns, values = f"{columns} WHERE search=?", (search,)
        prefix: tuple[str, ...] = () if self._version == 1 else (search,)
        rows = []
        for sequence, text, digest in self._rows(f"{columns} ORDER BY sequence", values):
            self._verify(digest, *prefix, sequence, text)
            rows.append(json.loads(text))
        return rows

    def add_candidates(self, candidates: list[Candidate], search: str = MAIN_SEARCH) -> None:
        """Store points of a search, all or none; the caller has checked that they agree with stored ones."""
        with self._transaction():
            self._insert_candidates([candidate.to_json() for candidate in candidates], search)

    def forget_candidates(self, search: str) -> None:
        """Delete the stored points of a search; their trainings stay."""
        self._write("DELETE FROM candidates WHERE search=?", (search,))

    def forget_trainings(self, tasks: Iterable[Task]) -> None:
        """Delete the results of tasks, and the points of all searches: they are found again from other trainings."""
        with self._transaction():
            for task in tasks:
                self._connection.execute("DELETE FROM trainings WHERE key=?", (task.key,))
            self._connection.execute("DELETE FROM candidates")

    def _insert_candidates(self, rows: list[dict[str, Any]], search: str) -> None:
        for row in rows:
            text = _dump(row)
            values = (search, row["sequence"], text, _digest(search, row["sequence"], text))
            self._connection.execute("INSERT OR REPLACE INTO candidates VALUES (?,?,?,?)", values)

    def fact(self, name: str) -> Any:
        """Return a stored fact (JSON), or None."""
        for value, digest in self._rows("SELECT value, digest FROM facts WHERE name=?", (name,)):
            self._verify(digest, name, value)
            return json.loads(value)
        return None

    def set_fact(self, name: str, value: Any) -> None:
        """Store a JSON-able fact under a name."""
        text = _dump(value)
        self._write("INSERT OR REPLACE INTO facts VALUES (?,?,?)", (name, text, _digest(name, text)))

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> Iterator[Any]:
        try:
            yield from self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._trouble(error) from None

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._transaction():
            self._connection.execute(statement, values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._trouble(error) from None
        finally:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):  # a disk that refuses this too: nothing of it was committed
                    self._connection.execute("ROLLBACK")

    def _verify(self, digest: str, *content: Any) -> None:
        if digest != _digest(*content):
            raise DamagedStateError(f"a row of '{self.path}' was altered; restore a copy or start a new run.")

    def _trouble(self, error: sqlite3.Error) -> DamagedStateError | InputError:
        text = str(error)
        if "locked" in text or "locking" in text:
            return InputError(
                f"'{self.path}' cannot be locked ({text}): another program uses it, or its drive cannot lock files; "
                "close that program, or choose a folder on a local disk, then run the same command again."
            )
        if "full" in text or "readonly" in text or "unable to open" in text or "disk I/O" in text:
            return InputError(
                f"cannot use '{self.path}' ({text}); free some space or correct its permissions, then run again."
            )
        return DamagedStateError(f"'{self.path}' is damaged ({text}); restore a copy or start a new run.")


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _digest(*content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _mode(path: Path) -> str:
    """Return the mode for reading: without a journal nobody writes, and reading must not create one."""
    return "ro" if path.with_name(f"{path.name}-wal").exists() else "ro&immutable=1"


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
