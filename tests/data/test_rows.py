"""Vectors read block by block are those that are read at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jaxiso.cli.console import InputError
from jaxiso.data import arrow, rows
from jaxiso.data.rows import ArrayRows, ColumnRows, FileRows, KeptRows, Rows, rows_of
from jaxiso.data.tables import open_table
from jaxiso.data.vectors import open_vectors

N, D = 23, 3
X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)


@pytest.fixture(params=["array", "fortran", "npy", "lists", "columns", "stream"])
def opened(request, tmp_path, monkeypatch) -> Rows:
    """Blocks of five rows; row groups of seven, and batches of four."""
    monkeypatch.setattr(rows, "BLOCK", 5 * D)
    monkeypatch.setattr(arrow, "_ROWS", 4)
    kind = request.param
    if kind in ("array", "fortran", "npy"):
        if kind == "array":
            return ArrayRows(X)
        np.save(tmp_path / "x.npy", np.asfortranarray(X) if kind == "fortran" else X)
        found = rows_of(open_table(tmp_path / "x.npy"), "array")
        assert isinstance(found, FileRows if kind == "npy" else ArrayRows)
        return found
    table = pa.table(
        {f"x{i}": X[:, i] for i in range(D)}
        if kind == "columns"
        else {"id": list(map(str, range(N))), "emb": pa.array(X.tolist(), pa.list_(pa.float32()))}
    )
    if kind == "stream":
        path = tmp_path / "x.arrow"
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=6)
    else:
        path = tmp_path / "x.parquet"
        pq.write_table(table, path, row_group_size=7)
    found = open_vectors(path, quiet=True).rows
    assert isinstance(found, ColumnRows)
    return found


def test_blocks(opened):
    assert opened.shape == (N, D) and len(opened) == N and opened.dtype == np.float32
    for start, stop in ((0, N), (0, 7), (6, 8), (9, 21), (22, N), (5, 5)):
        blocks = [block.copy() for block in opened.blocks(start, stop)]
        assert all(0 < len(block) <= 5 for block in blocks)
        np.testing.assert_array_equal(np.concatenate([X[:0], *blocks]), X[start:stop])
    np.testing.assert_array_equal(opened.load(np.float64), X.astype(np.float64))
    some = np.array([0, 4, 5, 13, 22])
    np.testing.assert_array_equal(opened.take(some), X[some])
    assert opened.take(some[:0]).shape == (0, D)


def test_some_of_them(opened):
    keep = np.random.default_rng(1).random(N) < 0.4
    keep[7:15] = False
    kept = KeptRows(opened, keep)
    mine = X[keep]
    assert kept.shape == mine.shape
    np.testing.assert_array_equal(kept.load(), mine)
    blocks = [block.copy() for block in kept.blocks(2, len(mine) - 1)]
    np.testing.assert_array_equal(np.concatenate(blocks), mine[2:-1])
    np.testing.assert_array_equal(kept.take(np.array([1, 3])), mine[[1, 3]])
    assert list(KeptRows(opened, np.zeros(N, bool)).blocks()) == []


def test_a_file_that_shrinks(tmp_path):
    np.save(tmp_path / "x.npy", X)
    found = rows_of(open_table(tmp_path / "x.npy"), "array")
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-4])
    with pytest.raises(InputError, match="damaged: it became shorter while it was read"):
        list(found.blocks())


def test_rows_of_other_lengths_are_named(tmp_path):
    lists = [*X[:9].tolist(), [1.0], *X[:9].tolist()]
    pq.write_table(pa.table({"emb": lists}), tmp_path / "x.parquet", row_group_size=4)
    with pytest.raises(InputError, match="row 10: 'emb' has 1 numbers, the rows before have 3"):
        open_vectors(tmp_path / "x.parquet")
