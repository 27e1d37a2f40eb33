"""Arrays and columns of one's own, whole and damaged."""

from __future__ import annotations

import gzip
import json
import struct
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from jaxiso.cli.console import InputError
from jaxiso.data.arrays import ArrayFile, open_arrays
from jaxiso.data.columns import ColumnFile
from jaxiso.data.records import RecordFile
from jaxiso.data.tables import open_table, true_suffix

X = np.arange(8.0).reshape(4, 2)


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parquet(folder: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return folder / "t.parquet"


def columns(path: Path, **options) -> ColumnFile:
    table = open_table(path, **options)
    assert isinstance(table, ColumnFile)
    return table


def complaint(call) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


# --- arrays -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npz", ".NPZ", ".safetensors"])
def test_named_arrays(tmp_path, suffix):
    arrays = {"X": X, "y": np.array([0, 1, 0, 1]), "bias": np.ones((2, 2, 2), np.float32)}
    path = tmp_path / f"a{suffix}"
    if suffix == ".safetensors":
        save_file(arrays, path)
    else:
        with path.open("wb") as file:
            (np.savez if suffix == ".npz" else np.savez_compressed)(file, **arrays)
    table = open_table(path)
    assert isinstance(table, ArrayFile) and set(table.names) == {"X", "y", "bias"}
    assert table.vectors("X").tolist() == X.tolist()
    assert table.values("y") == ([0, 1, 0, 1], None)
    assert [table.holds_vectors(name) for name in ("X", "y", "bias")] == [True, False, False]
    assert table.where("X", 3) == f"{path}, X[3]"


def test_npy_is_mapped_not_read(tmp_path):
    for x in (X, np.asfortranarray(X)):
        np.save(tmp_path / "x.npy", x)
        found = open_arrays(tmp_path / "x.npy").vectors("array")
        assert isinstance(found, np.memmap) and found.tolist() == X.tolist()
    np.save(tmp_path / "x.npy", X[:0])
    assert open_arrays(tmp_path / "x.npy").vectors("array").shape == (0, 2)


def test_bfloat16(tmp_path):
    save_file({"X": X.astype(ml_dtypes.bfloat16)}, tmp_path / "x.safetensors")
    found = open_arrays(tmp_path / "x.safetensors").vectors("X")
    assert found.dtype == np.float32 and found.tolist() == X.tolist()


def test_label_arrays(tmp_path):
    np.savez(
        tmp_path / "y.npz",
        s=np.array([b"b", b"a"]),
        u=np.array(["b", "é"]),
        b=np.array([True, False]),
        sets=np.array([[1, 0, 1], [0, 0, 0]]),
        x=np.array([[0, 1], [3, 1]]),
        one=np.array([[0], [1]]),
        z=np.zeros((2, 2, 2)),
        c=np.array([1j, 2]),
    )
    table = open_arrays(tmp_path / "y.npz")
    assert table.values("s")[0] == [b"b", b"a"] and table.values("u")[0] == ["b", "é"]
    assert table.values("b")[0] == [True, False] and table.values("sets") == ([[0, 2], []], 3)
    assert "y.npz, x[1]: column 0 is 3" in complaint(lambda: table.values("x"))
    assert "one label a row is (n,), one.ravel()" in complaint(lambda: table.values("one"))
    assert "shape (2, 2, 2)" in complaint(lambda: table.values("z"))
    assert "complex128" in complaint(lambda: table.values("c"))
    assert "u holds <U1; vectors must be floats" in complaint(lambda: table.vectors("u"))


def npy(header: object, data: bytes = bytes(64), version: int = 1) -> bytes:
    text = header if isinstance(header, bytes) else repr(header).encode()
    text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text + data


def header(shape, descr: object = "<f4") -> dict[str, object]:
    return {"descr": descr, "fortran_order": False, "shape": shape}


DAMAGED = {
    "empty": b"",
    "text": b"hello",
    "pickle": b"\x80\x04K\x01.",
    "negative": npy(header((-1, -16))),
    "1e12 rows": npy(header((10**12, 4))),
    "overflow": npy(header((2**62, 4))),
    "too few rows": npy(header((3, 4))),
    "no dict": npy(b"(((("),
    "deep": npy(b"[" * 5000),
    "objects": npy(header((2,), "|O"), b"\x80\x04K\x01."),
    "nothing": npy(header((10**12,), "|V0"), b""),
    "cut": npy(header((4, 4)))[:-9],
    "version": npy(header((4, 4)), version=9),
    "zip": b"PK\x03\x04 cut",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize(
    "suffix", [".npy", ".npz", ".safetensors", ".parquet", ".arrow", ".feather", "inside"]
)
def test_damaged_files(tmp_path, content, suffix):
    path = written(tmp_path, f"bad{suffix}", content)
    if suffix == "inside":
        path = tmp_path / "bad.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("array.npy", content)
    assert complaint(lambda: open_table(path).vectors("array")).startswith(f"{path}: ")


def test_what_is_claimed_is_checked_first(tmp_path):
    path = written(tmp_path, "x.npy", DAMAGED["1e12 rows"])
    assert complaint(lambda: open_arrays(path).vectors("array")) == (
        f"{path}: the file is damaged: 64 bytes of data, where an array of shape "
        "(1000000000000, 4) and float32 has 16,000,000,000,000; save or copy it again"
    )


def test_pickles_are_not_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    trap = np.array([Trap(), 1], dtype=object)
    np.save(tmp_path / "x.npy", trap, allow_pickle=True)
    arrays: dict[str, Any] = {"X": trap}
    np.savez(tmp_path / "x.npz", **arrays)
    for name, array in (("x.npy", "array"), ("x.npz", "X")):
        said = complaint(lambda n=name, a=array: open_table(tmp_path / n).vectors(a))
        assert "holds pickled Python objects, which are not loaded; save labels as strings" in said
    assert not open_table(tmp_path / "x.npz").holds_vectors("X")
    assert not (tmp_path / "sprung").exists()


def test_members_of_npz(tmp_path):
    path, x = tmp_path / "x.npz", np.random.default_rng(0).normal(size=(999, 9))

    def said_of(content: bytearray) -> str:
        path.write_bytes(content)
        said = complaint(lambda: open_arrays(path).vectors("X"))
        assert said.startswith(f"{path}: array 'X' is ")
        return said

    np.savez(path, X=x)
    whole = bytearray(path.read_bytes())
    assert "Bad CRC-32" in said_of(whole[:5000] + bytearray(9) + whole[5009:])
    central = whole.index(b"PK\x01\x02")
    encrypted = whole.copy()
    encrypted[central + 8] |= 1
    assert "encrypted; save it without a password" in said_of(encrypted)
    strange = whole.copy()
    strange[central + 10] = 93
    assert "(method 93); save it by np.savez or np.savez_compressed" in said_of(strange)
    bomb = whole.copy()
    bomb[central + 20 : central + 24] = struct.pack("<I", 10)
    assert "10 bytes cannot hold 72,056" in said_of(bomb)
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("X.npy", b"")
        archive.writestr("X.npy", b"")
    assert "arrays or columns are called 'X'; ren" in complaint(lambda: open_table(path))


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 4) + b"{{{{",
        {"X": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 8]}},
        {"X": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}},
        {"X": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}},
    ],
)
def test_bad_safetensors(tmp_path, content):
    if isinstance(content, dict):
        text = json.dumps(content).encode()
        content = struct.pack("<Q", len(text)) + text + bytes(8)
    path = written(tmp_path, "x.safetensors", content)
    assert complaint(lambda: open_table(path).vectors("X")).startswith(f"{path}: ")


# --- records ----------------------------------------------------------------------------------


def test_records(tmp_path):
    text = '{"emb": [1, 2.5], "y": [1, 2], "z": true}\n\n{"y": [2.0], "emb": [3, 4]}\n'
    for name in ("t.jsonl", "t.ndjson.gz"):
        data = gzip.compress(text.encode()) if "gz" in name else text
        table = open_table(written(tmp_path, name, data))
        assert isinstance(table, RecordFile) and table.names == ("emb", "y", "z")
        assert table.vectors("emb").tolist() == [[1, 2.5], [3, 4]]
        assert table.values("y") == ([[1, 2], [2.0]], None) and table.values("z")[0] == [True, None]
        assert [table.holds_vectors(name) for name in table.names] == [True, True, False]
        assert table.where("y", 1).endswith(", line 3")


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("[3.0]", "field 'emb' has 1 numbers, the lines before have 2; vectors must be of one le"),
        ("[3.0, null]", "field 'emb' is [3.0, None]; a vector must be a list of numbers, all of t"),
        ("[3.0, true]", "field 'emb' is [3.0, True]; a vector"),
        ('[3.0, "4"]', "field 'emb' is [3.0, '4']; a vector"),
        (f"[3.5, 1{'0' * 400}]", "field 'emb' is [3.5, 1000"),
        (f"[3, 1{'0' * 400}]", "field 'emb' is [3, 1000"),
        ("[[3.0, 4.0]]", "field 'emb' is [[3.0, 4.0]]; a vector"),
        ("[]", "field 'emb' is []; a vector"),
        ("{}", "field 'emb' is {}; a vector"),
    ],
)
def test_bad_records(tmp_path, second, said):
    path = written(tmp_path, "t.jsonl", f'{{"emb": [1, 2]}}\n{{"emb": {second}}}\n')
    found = complaint(lambda: open_table(path).vectors("emb"))
    assert found.startswith(f"{path}, line 2: {said}")


# --- columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.CSV", "t.csv.gz"])
def test_named_columns(tmp_path, name):
    text = '\ufeffa,b c,kind\n1,2.5,"x,\ny"\n\n3, 1e3 ,\n'
    text = text.replace("x,", "x").replace(",", "\t") if "tsv" in name else text
    data = text.encode()
    table = columns(written(tmp_path, name, gzip.compress(data) if "gz" in name else data))
    assert table.names == ("a", "b c", "kind")
    numbers = [table.numbers(column) for column in table.names]
    assert [None if x is None else x.tolist() for x in numbers] == [[1, 3], [2.5, 1000], None]
    assert [v and v.replace(",", "") for v in table.values("kind")[0]] == ["x\ny", None]
    # The first row takes two lines, and one is blank.
    assert [table.where("a", row)[-6:] for row in (0, 1)] == ["line 3", "line 5"]


@pytest.mark.parametrize("delimiter", list(",;\t"))
def test_columns_without_names(tmp_path, delimiter):
    text = "1.5,2,cat\n-3,4,dog\n".replace(",", delimiter)
    table = columns(written(tmp_path, "t.csv", text))
    assert table.names == ("column 1", "column 2", "column 3")
    numbers = table.numbers("column 1")
    assert numbers is not None and numbers.tolist() == [1.5, -3]
    assert table.values("column 3") == (["cat", "dog"], None)
    assert table.where("", 1).endswith("line 2")


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ("x,y", "5,6", True),
        ("1,2", "5,6", False),
        ("1,cat", "5,dog", False),
        ("0,1,2", "5,6,7", True),
        (",0,1", "0,5,6", True),
        ("0,1", "5,6", False),
        ("nan,x", "5,6", False),
        ("nan,x", "5,dog", False),
        ("label", "5", True),
        (",", "5,6", True),
        ("a,b", "u,v", True),  # no numbers at all
        # Columns of text beside those of numbers.
        ("0,1,2,label", "5,6,7,cat", True),
        ("0,1,label", "5,6,cat", True),
        ("0,1,2,0", "5,6,7,cat", True),
        ("0,1,2,", "5,6,7,cat", True),
        (",0,1", "word,5,6", True),
        (",0,1,0", "0,5,6,cat", True),
        ("x,y,7", "5,6,cat", True),
        ("1,2,3,label", "5,6,7,cat", True),
        ("1,2,3,kind", "5,6,7,cat", False),
        ("1,2,y", "5,6,n", False),
        ("0.1,0.2,word", "5,6,cat", False),
        ("0,1,cat", "5,6,cat", False),  # a name does not occur below it
        ("1,2,3,label", "5,6,7,label", False),
        # Numbers unlike those below them.
        ("1,2,3", "0.5,0.1,0.7", True),
        (",1,2,3", "0,5,5,7", True),
        ("0.5,1.0,1.5", "3,1,2", True),
        ("30,20,10", "3,1,2", True),
        ("1,2,3", "5,6,7", False),
        ("450,500,610", "0.5,0.25,0.75", True),
        ("450,500,610", "0.5,0.25,7", False),
        ("450,450,610", "0.5,0.25,0.75", False),
        ("1,2", "0.5,0.1", False),
        ("1,2,3,kind", "0.5,0.1,0.7,cat", True),
        ("1,2,3,cat", "0.5,0.1,0.7,cat", False),
        ("1,nan,3", "0.5,0.1,0.7", False),
    ],
)
def test_which_first_lines_name_columns(tmp_path, first, second, named):
    table = columns(written(tmp_path, "t.csv", f"{first}\n{second}\n"))
    assert len(table.values(table.names[0])[0]) == 2 - named
    cells = first.split(",")
    if named and len(set(cells)) == len(cells):
        names = [cell or f"column {i}" for i, cell in enumerate(cells, start=1)]
        assert table.names == tuple(names)


def test_columns_looked_for_are_names(tmp_path):
    path = written(tmp_path, "t.csv", "1,2,kind\n5,6,cat\n")
    assert columns(path, column="kind").names == ("1", "2", "kind")
    path = written(tmp_path, "t.csv", "kind,1\nkind,2\n")
    assert columns(path, of_labels=True, column="kind").names == ("column 1", "column 2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n\n3\n", ", line 4: it has 1 cells, the first line has 2; every line"),
        ("a,b\n1,2,3\n", ", line 2: it has 3 cells"),
        ("a,a\n1,2\n", ": two arrays or columns are called 'a'; rename one"),
        ("", ": the first line is empty"),
        ("\na,b\n", ": the first line is empty"),
        ('a,b\n1,2\n3,"4\n5,6\n', ", line 4: unexpected end of data; a cell that has a quote"),
        ('a,b\n1,"x\n3,"y\n5,z\n', ", line 3: ',' expected after '\"'; a cell that has a quote"),
        (b"a,b\n1,x\n2,caf\xe9\n", ", line 3: not UTF-8"),
        (b"a,caf\xe9\n1,x\n", ", line 1: not UTF-8"),
    ],
)
def test_bad_csv(tmp_path, text, said):
    path = written(tmp_path, "t.csv", text)
    assert complaint(lambda: open_table(path)).startswith(f"{path}{said}")
    packed = written(tmp_path, "t.csv.gz", gzip.compress(path.read_bytes()))
    assert complaint(lambda: open_table(packed)).startswith(f"{packed}{said}")


def test_cut_gzip(tmp_path):
    rows = np.random.default_rng(0).integers(0, 9, (999, 2))
    data = gzip.compress("".join(f"{a},{b}\n" for a, b in rows).encode())
    for cut in (len(data) - 4, 100):
        path = written(tmp_path, "t.csv.gz", data[:cut])
        assert complaint(lambda p=path: open_table(p)).startswith(f"{path}: ")


def test_cells_that_are_no_numbers(tmp_path):
    path = written(tmp_path, "t.csv", "a,b,c,d\n1,2,x,1\n2,oops,y,1_0\n3,é,4,1\n4,5,z,1\n,5,z,1\n")
    table = columns(path)
    assert table.numbers("c") is None
    said = complaint(lambda: table.numbers("b"))
    assert said.startswith(f"{path}, line 3: 'b' is 'oops', no number, as are 2 of its 5 cells")
    assert "'d' is '1_0', no number, as are 1 of its 5" in complaint(lambda: table.numbers("d"))
    assert complaint(lambda: table.numbers("a")).startswith(f"{path}, line 6: 'a' is empty")


def test_long_cells_and_lines(tmp_path):
    text = "a,b\n1,2\n" + f'"{"x" * 200_000}\n{"y" * 2_000_000}",3\n' * 3 + "\n"
    table = columns(written(tmp_path, "t.csv", text))
    numbers = table.numbers("b")
    assert numbers is not None and len(numbers) == 4 and len(table.values("a")[0]) == 4


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda t: pa.list_(t, 2)])
@pytest.mark.parametrize("number", [pa.float32(), pa.float16(), pa.int8(), pa.decimal128(5, 2)])
def test_lists(tmp_path, kind, number):
    rows = X.tolist()
    if pa.types.is_decimal(number):
        rows = [[Decimal(int(value)) for value in row] for row in rows]
    column = pa.chunked_array([pa.array(rows[:3], kind(number)), pa.array(rows[3:], kind(number))])
    table = columns(parquet(tmp_path, emb=column, s=pa.array(list("abcd"))))
    assert table.holds_vectors("emb") and table.vectors("emb").tolist() == X.tolist()
    assert table.vectors("emb").dtype.kind == "f" and table.numbers("emb") is None
    assert table.values("s")[0] == list("abcd") and table.where("emb", 0).endswith(", row 1")
    assert "'s' does not hold lists of numbers" in complaint(lambda: table.vectors("s"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 2.0], None], ", row 2: 'emb' is empty; every vector"),
        ([[1.0, 2.0], [1.0, 2.0], [3.0, None]], ", row 3: 'emb' is empty"),
        ([[1.0, 2.0], [3.0]], ", row 2: 'emb' has 1 numbers, the rows before have 2"),
        ([[], [3.0]], ", row 2: 'emb' has 1 numbers, the rows before have 0"),
    ],
)
def test_bad_lists(tmp_path, rows, said):
    path = parquet(tmp_path, emb=pa.array(rows, pa.list_(pa.float64())))
    assert complaint(lambda: open_table(path).vectors("emb")).startswith(f"{path}{said}")


def test_other_parquet_columns(tmp_path):
    path = parquet(
        tmp_path,
        i=[1, 2],
        tags=[["a"], None],
        cat=pa.array(["u", "v"]).dictionary_encode(),
        none=pa.nulls(2),
        gap=[1.0, None],
        **{"a.b": [0, 1]},
    )
    table = columns(path)
    assert not any(map(table.holds_vectors, table.names))
    assert [name for name in table.names[:4] if table.numbers(name) is not None] == ["i"]
    assert table.numbers("i").dtype == np.float64  # type: ignore[union-attr]
    assert table.values("tags")[0] == [["a"], None] and table.values("cat")[0] == ["u", "v"]
    assert table.values("a.b")[0] == [0, 1]
    assert complaint(lambda: table.numbers("gap")).startswith(f"{path}, row 2: 'gap' is empty")


def test_suffixes(tmp_path):
    assert true_suffix(Path("A.B.CSV.gz")) == ".csv" and true_suffix(Path("x.pq")) == ".parquet"
    path = written(tmp_path, "x.npy.gz", b"")
    assert "unpack it first" in complaint(lambda: open_table(path))


def test_feather_of_the_first_version(tmp_path):
    said = complaint(lambda: open_table(written(tmp_path, "x.feather", b"FEA1" + bytes(60))))
    assert said.endswith(
        "x.feather: it is in Feather's first version, which is no longer written; "
        "save it again by DataFrame.to_feather"
    )
