"""`encode`: order, notes, and the cache."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save
from tiny_encoder import TEXTS, random_bert, write_json

from jaxiso.cli.console import InputError
from jaxiso.encoders import running
from jaxiso.encoders.cache import load_vectors, save_vectors
from jaxiso.encoders.encode import encode


def forbid_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args, **_options):
        raise AssertionError("encoded again")

    monkeypatch.setattr(running, "plan_batches", fail)


def test_order_and_batch_size_do_not_matter(make_bert, tmp_path: Path) -> None:
    directory = str(make_bert())
    texts = TEXTS * 3
    order = np.random.default_rng(0).permutation(len(texts))
    one = encode(texts, directory, quiet=True)
    other = encode([texts[i] for i in order], directory, quiet=True, batch_size=3)
    np.testing.assert_allclose(other, one[order], atol=1e-6, rtol=0)
    np.testing.assert_allclose(one[: len(TEXTS)], one[len(TEXTS) : 2 * len(TEXTS)], atol=1e-6)


def test_no_texts_and_one_text(make_bert) -> None:
    directory = str(make_bert())
    assert encode([], directory).shape == (0, 16)
    assert encode([""], directory, quiet=True).shape == (1, 16)


def test_vectors_keep_their_length_without_normalize(make_bert) -> None:
    directory = make_bert()
    unit = encode(TEXTS, str(directory), quiet=True)
    modules = directory / "modules.json"
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    write_json(
        modules, [{"path": p, "type": f"sentence_transformers.models.{k}"} for p, k in kinds]
    )
    raw = encode(TEXTS, str(directory), quiet=True)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(lengths - 1).max() > 0.1
    np.testing.assert_allclose(raw / lengths, unit, atol=1e-6)
    modules.unlink()  # as transformers saves a model: assumed to be normalised
    np.testing.assert_array_equal(encode(TEXTS, str(directory), quiet=True), unit)


def test_notes_say_what_was_assumed_and_cut(make_bert, capsys) -> None:
    directory = make_bert()
    (directory / "modules.json").unlink()
    encode(TEXTS, str(directory))
    noted = capsys.readouterr().err
    assert "has no modules.json; using mean pooling" in noted
    assert "1 of 8 texts are longer than 30 tokens" in noted
    encode(TEXTS[:3], str(directory), quiet=True)
    assert capsys.readouterr().err == ""


def test_long_texts_are_cut_at_the_limit(make_bert) -> None:
    directory = str(make_bert())
    whole, cut = "very " * 28, "very " * 28 + "dull and bad"  # 28 words and two special tokens
    vectors = encode([whole, cut], directory, quiet=True)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_lower_casing_is_followed(make_bert) -> None:
    directory = make_bert()
    write_json(
        directory / "sentence_bert_config.json", {"max_seq_length": 30, "do_lower_case": True}
    )
    vectors = encode(["THE FILM", "the film"], str(directory), quiet=True)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_prefixes_old_names_and_half_precision_are_read(make_bert) -> None:
    expected = encode(TEXTS, str(make_bert("new")), quiet=True)
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in random_bert("bert.").items()
    }
    found = encode(TEXTS, str(make_bert("old", renamed)), quiet=True)
    np.testing.assert_array_equal(found, expected)
    import ml_dtypes

    for kind, near in ((np.float16, 0.01), (ml_dtypes.bfloat16, 0.1)):
        halves = {name: value.astype(kind) for name, value in random_bert().items()}
        directory = make_bert(np.dtype(kind).name, halves)
        np.testing.assert_allclose(encode(TEXTS, str(directory), quiet=True), expected, atol=near)


def test_cache_gives_the_same_bits_without_encoding(make_bert, own_cache, monkeypatch) -> None:
    directory = str(make_bert())
    first = encode(TEXTS, directory, quiet=True)
    assert [path.suffix for path in (own_cache / "embeddings").iterdir()] == [".safetensors"]
    forbid_encoding(monkeypatch)
    second = encode(TEXTS, directory, quiet=True)
    np.testing.assert_array_equal(first, second)
    assert second.dtype == np.float32
    with pytest.raises(AssertionError, match="encoded again"):
        encode(TEXTS[::-1], directory, quiet=True)


def test_cache_dir_is_used(make_bert, tmp_path: Path, own_cache, monkeypatch) -> None:
    directory = str(make_bert())
    encode(TEXTS, directory, cache_dir=tmp_path / "here", quiet=True)
    assert not own_cache.exists()
    forbid_encoding(monkeypatch)
    encode(TEXTS, directory, cache_dir=tmp_path / "here", quiet=True)


def test_other_weights_or_settings_are_encoded_again(make_bert, monkeypatch) -> None:
    directory = make_bert()
    encode(TEXTS, str(directory), quiet=True)
    changed = {name: value * np.float32(1.01) for name, value in random_bert().items()}
    others = [make_bert("weights", changed), make_bert("epsilon", layer_norm_eps=1e-3)]
    forbid_encoding(monkeypatch)
    for other in others:
        with pytest.raises(AssertionError, match="encoded again"):
            encode(TEXTS, str(other), quiet=True)


def test_a_cache_that_cannot_be_written_is_no_error(make_bert, tmp_path: Path, capsys) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    vectors = encode(TEXTS, str(make_bert()), cache_dir=blocked)
    assert vectors.shape == (8, 16)
    assert "could not be cached" in capsys.readouterr().err


def test_wrong_calls_are_named(make_bert) -> None:
    directory = str(make_bert())
    with pytest.raises(TypeError, match="texts is one string"):
        encode("a text", directory)
    with pytest.raises(TypeError, match=r"texts\[1\] is int"):
        encode(["a", 1], directory)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="batch_size is 0"):
        encode(["a"], directory, batch_size=0)
    with pytest.raises(InputError, match="text 1 is not valid Unicode"):
        encode(["a", "\ud800"], directory)


def test_other_files_beside_the_weights_are_encoded_again(make_bert, monkeypatch) -> None:
    directory = make_bert()
    encode(TEXTS, str(directory), quiet=True)
    vectors = {"other texts": ["the film", "is"], "moved border": ["the", "film is"]}
    for texts in vectors.values():
        encode(texts, str(directory), quiet=True)
    forbid_encoding(monkeypatch)
    for texts in (TEXTS, *vectors.values()):
        encode(texts, str(directory), quiet=True)
    with pytest.raises(AssertionError, match="encoded again"):
        encode(["thefilm", "is"], str(directory), quiet=True)
    for file in ("tokenizer.json", "1_Pooling/config.json", "sentence_bert_config.json"):
        before = (directory / file).read_text()
        (directory / file).write_text(before + " ")
        with pytest.raises(AssertionError, match="encoded again"):
            encode(TEXTS, str(directory), quiet=True)
        (directory / file).write_text(before)


def test_transformers_is_late_and_silent(make_bert, tmp_path: Path) -> None:
    """Without torch too, where it would advise to install it; a second run does without it."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from jaxiso.encoders.encode import encode\n"
        "for late in (False, True):\n"
        "    assert ('transformers' in sys.modules) == late\n"
        "    assert encode(['the film'], sys.argv[1], quiet=True).shape == (1, 16)\n"
    )
    for program in (code, code.replace("== late", "== False")):
        done = subprocess.run(
            [sys.executable, "-c", program, str(make_bert(exist_ok=True))],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


VECTORS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def flip(byte: int) -> Callable[[bytes, Path], bytes]:
    return lambda whole, _: whole[:byte] + bytes([whole[byte] ^ 1]) + whole[byte + 1 :]


def rewrite(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[bytes, Path], bytes]:
    """The same header but other values, as a careless program would write them."""

    def write(whole: bytes, path: Path) -> bytes:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
        return save({"vectors": np.ascontiguousarray(change(VECTORS))}, metadata=metadata)

    return write


DAMAGE: dict[str, Callable[[bytes, Path], bytes]] = {
    "a flipped bit of a value": flip(-3),
    "a flipped bit of the header": flip(20),
    "a flipped bit of the length": flip(0),
    "cut": lambda whole, _: whole[:-9],
    "empty": lambda *_: b"",
    "text": lambda *_: b"no array",
    "pickle": lambda *_: b"\x80\x04K\x01.",
    "a header of 8 EB": lambda whole, _: b"\xff" * 7 + b"\x7f" + whole[8:],
    "reversed columns": rewrite(lambda v: v[:, ::-1]),
    "reversed rows": rewrite(lambda v: v[::-1]),
    "other shape": rewrite(lambda v: v.reshape(5, 2, 2)),
    "other rows": rewrite(lambda v: v.reshape(10, 2)),
    "other type": rewrite(lambda v: v.astype(np.float64)),
    "nan": rewrite(lambda v: v * np.float32("nan")),
    "without a digest": lambda *_: save({"vectors": VECTORS}),
    "another array": lambda *_: save({"x": VECTORS}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_noted_and_deleted(tmp_path: Path, capsys, damage: str) -> None:
    path = tmp_path / "new" / "entry.safetensors"
    save_vectors(path, VECTORS)
    whole = path.read_bytes()
    np.testing.assert_array_equal(load_vectors(path, 5), VECTORS)
    assert capsys.readouterr().err == ""
    path.write_bytes(DAMAGE[damage](whole, path))
    assert load_vectors(path, 5) is None and not path.exists()
    assert f"note: cached embeddings {path} are damaged" in capsys.readouterr().err
    save_vectors(path, VECTORS)
    assert path.read_bytes() == whole


def test_every_byte_counts(tmp_path: Path) -> None:
    path = tmp_path / "entry.safetensors"
    save_vectors(path, VECTORS)
    whole = path.read_bytes()
    for byte in range(len(whole)):
        path.write_bytes(flip(byte)(whole, path))
        found = load_vectors(path, 5, quiet=True)
        # blanks that fill the header, and the names in it, are not values
        assert found is None or np.array_equal(found, VECTORS)


def test_an_entry_under_another_name_is_not_taken(tmp_path: Path) -> None:
    save_vectors(tmp_path / "a.safetensors", VECTORS)
    (tmp_path / "a.safetensors").rename(tmp_path / "b.safetensors")
    assert load_vectors(tmp_path / "b.safetensors", 5, quiet=True) is None
    assert load_vectors(tmp_path / "absent.safetensors", 5) is None
