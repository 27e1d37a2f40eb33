"""Arrays and columns of one's own, whole and damaged."""

from __future__ import annotations

import gzip
import json
import struct
from decimal import Decimal
from pathlib import Path

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from jaxiso.data.tables import names_columns, open_table, true_suffix
from jaxiso.errors import InputError

X = np.arange(8.0).reshape(4, 2)


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parquet(folder: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return folder / "t.parquet"


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
            np.savez(file, **arrays)
    table = open_table(path)
    assert set(table.names) == {"X", "y", "bias"}
    assert table.numbers("X").tolist() == X.tolist()
    assert table.values("y") == [0, 1, 0, 1]
    assert [table.kind(name) for name in ("X", "y", "bias")] == ["vectors", "numbers", "other"]
    assert table.where("X", 3) == f"{path}, X[3]"


def test_npy_is_mapped_not_read(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert isinstance(open_table(tmp_path / "x.npy").numbers("array"), np.memmap)


def test_bfloat16(tmp_path):
    save_file({"X": X.astype(ml_dtypes.bfloat16)}, tmp_path / "x.safetensors")
    found = open_table(tmp_path / "x.safetensors").numbers("X")
    assert found.dtype == np.float32 and found.tolist() == X.tolist()


def test_label_arrays(tmp_path):
    np.savez(
        tmp_path / "y.npz",
        s=np.array([b"b", b"a"]),
        u=np.array(["b", "é"]),
        b=np.array([True, False]),
        sets=np.array([[1, 0, 1], [0, 0, 0]]),
        x=np.array([[0, 1], [3, 1]]),
        z=np.zeros((2, 2, 2)),
        c=np.array([1j, 2]),
    )
    table = open_table(tmp_path / "y.npz")
    assert table.values("s") == ["b", "a"] and table.values("u") == ["b", "é"]
    assert table.values("b") == [True, False] and table.values("sets") == [[0, 2], []]
    said = complaint(lambda: table.values("x"))
    assert "y.npz, x[1]: column 0 is 3" in said
    assert "shape (2, 2, 2)" in complaint(lambda: table.values("z"))
    assert "complex128" in complaint(lambda: table.values("c"))
    assert "u holds <U1; vectors must be floats" in complaint(lambda: table.numbers("u"))


def npy(header: object, data: bytes = bytes(64)) -> bytes:
    text = header if isinstance(header, bytes) else repr(header).encode()
    text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def header(shape, descr: object = "<f4") -> dict[str, object]:
    return {"descr": descr, "fortran_order": False, "shape": shape}


@pytest.mark.filterwarnings("ignore:overflow encountered")  # NumPy's, about the last but two
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x80\x04K\x01.",  # a pickle
        npy(header((-1, 4))),
        npy(header((10**12, 4))),
        npy(header((2**62, 4))),
        npy(b"(((("),
        npy(header((2,), "|O"), b"\x80\x04K\x01."),
        npy(header((4, 4)))[:-9],
        b"PK\x03\x04 cut",
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
def test_damaged_files(tmp_path, content, suffix):
    path = written(tmp_path, f"bad{suffix}", content)
    assert complaint(lambda: open_table(path).numbers("array")).startswith(f"{path}: ")


def test_pickles_are_not_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    trap = np.array([Trap(), 1], dtype=object)
    np.save(tmp_path / "x.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "x.npz", X=trap, allow_pickle=True)
    for name, array in (("x.npy", "array"), ("x.npz", "X")):
        said = complaint(lambda n=name, a=array: open_table(tmp_path / n).numbers(a))
        assert "pickled Python objects, which are not loaded; save labels as strings" in said
    assert open_table(tmp_path / "x.npz").kind("X") == "other"
    assert not (tmp_path / "sprung").exists()


def test_damaged_members(tmp_path):
    np.savez(tmp_path / "x.npz", X=np.random.default_rng(0).normal(size=(999, 9)))
    whole = (tmp_path / "x.npz").read_bytes()
    path = written(tmp_path, "bad.npz", whole[:5000] + bytes(9) + whole[5009:])
    assert complaint(lambda: open_table(path).numbers("X")).startswith(f"{path}: array 'X' is dam")


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
    assert complaint(lambda: open_table(path).numbers("X")).startswith(f"{path}: ")


# --- columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.CSV", "t.csv.gz"])
def test_named_columns(tmp_path, name):
    text = '\ufeffa,b c,kind\n1,2.5,"x,\ny"\n\n3,1e3,\n'
    text = text.replace("x,", "x").replace(",", "\t") if "tsv" in name else text
    data = text.encode()
    table = open_table(written(tmp_path, name, gzip.compress(data) if "gz" in name else data))
    assert table.names == ("a", "b c", "kind")
    assert [table.kind(column) for column in table.names] == ["numbers", "numbers", "other"]
    assert table.numbers("a").tolist() == [1, 3] and table.numbers("b c").tolist() == [2.5, 1000]
    assert [v and v.replace(",", "") for v in table.values("kind")] == ["x\ny", None]
    # The first row takes two lines, and one is blank.
    assert [table.where("a", row)[-6:] for row in (0, 1)] == ["line 3", "line 5"]


@pytest.mark.parametrize("delimiter", list(",;\t"))
def test_columns_without_names(tmp_path, delimiter):
    text = "1.5,2,cat\n-3,4,dog\n".replace(",", delimiter)
    table = open_table(written(tmp_path, "t.csv", text))
    assert table.names == ("column 1", "column 2", "column 3")
    assert table.numbers("column 1").tolist() == [1.5, -3]
    assert table.values("column 3") == ["cat", "dog"] and table.where("", 1).endswith("line 2")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("x,y", True),
        ("1,2", False),
        ("1,cat", False),
        ("0,1,2", True),
        (",0,1", True),
        ("0,1", False),
        ("nan,x", False),
        ("label", True),
        ("", True),
    ],
)
def test_which_first_lines_name_columns(line, names):
    assert names_columns(line.split(",")) is names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n\n3\n", ", line 4: it has 1 cells, the first line has 2; every line"),
        ("a,b\n1,2,3\n", ", line 2: it has 3 cells"),
        ("a,a\n1,2\n", ": two columns are called 'a'; rename one"),
        ("", ": the first line is empty"),
        ("\na,b\n", ": the first line is empty"),
    ],
)
def test_bad_csv(tmp_path, text, said):
    path = written(tmp_path, "t.csv", text)
    assert complaint(lambda: open_table(path)).startswith(f"{path}{said}")


def test_cells_that_are_no_numbers(tmp_path):
    path = written(tmp_path, "t.csv", b"a,b,c\n1,2,x\n2,oops,y\n3,\xff,4\n4,5,z\n,5,z\n")
    table = open_table(path)
    assert table.kind("b") == table.kind("c") == "other"
    said = complaint(lambda: table.check_cells("b"))  # type: ignore[union-attr]
    assert said.startswith(f"{path}, line 3: 'b' is 'oops', no number, as are 2 of its 5 cells")
    table.check_cells("c")  # type: ignore[union-attr]
    assert complaint(lambda: table.numbers("a")).startswith(f"{path}, line 6: 'a' is empty")


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda t: pa.list_(t, 2)])
@pytest.mark.parametrize("number", [pa.float32(), pa.float16(), pa.int8(), pa.decimal128(5, 2)])
def test_lists(tmp_path, kind, number):
    rows = X.tolist()
    if pa.types.is_decimal(number):
        rows = [[Decimal(int(value)) for value in row] for row in rows]
    column = pa.chunked_array([pa.array(rows[:3], kind(number)), pa.array(rows[3:], kind(number))])
    table = open_table(parquet(tmp_path, emb=column, s=pa.array(list("abcd"))))
    assert table.kind("emb") == "vectors" and table.numbers("emb").tolist() == X.tolist()
    assert table.numbers("emb").dtype.kind == "f"
    assert table.values("s") == list("abcd") and table.where("emb", 0).endswith(", row 1")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 2.0], None], ", row 2: 'emb' is empty; every vector"),
        ([[1.0, 2.0], [1.0, 2.0], [3.0, None]], ", row 3: 'emb' is empty"),
        ([[1.0, 2.0], [3.0]], ", row 2: 'emb' has 1 numbers, the rows before have 2"),
    ],
)
def test_bad_lists(tmp_path, rows, said):
    path = parquet(tmp_path, emb=pa.array(rows, pa.list_(pa.float64())))
    assert complaint(lambda: open_table(path).numbers("emb")).startswith(f"{path}{said}")


def test_other_parquet_columns(tmp_path):
    path = parquet(
        tmp_path, i=[1, 2], tags=[["a"], None], cat=pa.array(["u", "v"]).dictionary_encode()
    )
    table = open_table(path)
    assert [table.kind(n) for n in table.names] == ["numbers", "other", "other"]
    assert table.numbers("i").dtype == np.float64
    assert table.values("tags") == [["a"], None] and table.values("cat") == ["u", "v"]


def test_suffixes(tmp_path):
    assert true_suffix(Path("A.B.CSV.gz")) == ".csv" and true_suffix(Path("x.pq")) == ".parquet"
    path = written(tmp_path, "x.npy.gz", b"")
    assert "unpack it first" in complaint(lambda: open_table(path))
