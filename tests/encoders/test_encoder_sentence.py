"""`encode_sentences`: order, notes, and the cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_encoder import TEXTS, random_bert, write_json

from jaxiso.encoders import sentence
from jaxiso.encoders.cache import cache_key
from jaxiso.encoders.sentence import encode_sentences
from jaxiso.errors import InputError


def forbid_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args, **_options):
        raise AssertionError("encoded again")

    monkeypatch.setattr(sentence, "_encode", fail)


def test_order_and_batch_size_do_not_matter(make_bert, tmp_path: Path) -> None:
    directory = str(make_bert())
    texts = TEXTS * 3
    order = np.random.default_rng(0).permutation(len(texts))
    one = encode_sentences(texts, directory, quiet=True)
    other = encode_sentences([texts[i] for i in order], directory, quiet=True, tokens_per_batch=64)
    np.testing.assert_allclose(other, one[order], atol=1e-6, rtol=0)
    np.testing.assert_allclose(one[: len(TEXTS)], one[len(TEXTS) : 2 * len(TEXTS)], atol=1e-6)


def test_no_texts_and_one_text(make_bert) -> None:
    directory = str(make_bert())
    assert encode_sentences([], directory).shape == (0, 16)
    assert encode_sentences([""], directory, quiet=True).shape == (1, 16)


def test_vectors_keep_their_length_without_normalize(make_bert) -> None:
    directory = make_bert()
    unit = encode_sentences(TEXTS, str(directory), quiet=True)
    modules = directory / "modules.json"
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    write_json(
        modules, [{"path": p, "type": f"sentence_transformers.models.{k}"} for p, k in kinds]
    )
    raw = encode_sentences(TEXTS, str(directory), quiet=True)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(lengths - 1).max() > 0.1
    np.testing.assert_allclose(raw / lengths, unit, atol=1e-6)
    modules.unlink()  # as transformers saves a model: assumed to be normalised
    np.testing.assert_array_equal(encode_sentences(TEXTS, str(directory), quiet=True), unit)


def test_notes_say_what_was_assumed_and_cut(make_bert, capsys) -> None:
    directory = make_bert()
    (directory / "modules.json").unlink()
    encode_sentences(TEXTS, str(directory))
    noted = capsys.readouterr().err
    assert "has no modules.json; using mean pooling" in noted
    assert "1 of 8 texts are longer than 30 tokens" in noted
    encode_sentences(TEXTS[:3], str(directory), quiet=True)
    assert capsys.readouterr().err == ""


def test_long_texts_are_cut_at_the_limit(make_bert) -> None:
    directory = str(make_bert())
    whole, cut = "very " * 28, "very " * 28 + "dull and bad"  # 28 words and two special tokens
    vectors = encode_sentences([whole, cut], directory, quiet=True)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_lower_casing_is_followed(make_bert) -> None:
    directory = make_bert()
    write_json(
        directory / "sentence_bert_config.json", {"max_seq_length": 30, "do_lower_case": True}
    )
    vectors = encode_sentences(["THE FILM", "the film"], str(directory), quiet=True)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_prefixes_old_names_and_half_precision_are_read(make_bert) -> None:
    expected = encode_sentences(TEXTS, str(make_bert("new")), quiet=True)
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in random_bert("bert.").items()
    }
    found = encode_sentences(TEXTS, str(make_bert("old", renamed)), quiet=True)
    np.testing.assert_array_equal(found, expected)
    import ml_dtypes

    for kind, near in ((np.float16, 0.01), (ml_dtypes.bfloat16, 0.1)):
        halves = {name: value.astype(kind) for name, value in random_bert().items()}
        directory = make_bert(np.dtype(kind).name, halves)
        np.testing.assert_allclose(
            encode_sentences(TEXTS, str(directory), quiet=True), expected, atol=near
        )


def test_cache_gives_the_same_bits_without_encoding(make_bert, own_cache, monkeypatch) -> None:
    directory = str(make_bert())
    first = encode_sentences(TEXTS, directory, quiet=True)
    assert [path.suffix for path in (own_cache / "embeddings").iterdir()] == [".npy"]
    forbid_encoding(monkeypatch)
    second = encode_sentences(TEXTS, directory, quiet=True)
    np.testing.assert_array_equal(first, second)
    assert second.dtype == np.float32
    with pytest.raises(AssertionError, match="encoded again"):
        encode_sentences(TEXTS[::-1], directory, quiet=True)


def test_cache_dir_is_used(make_bert, tmp_path: Path, own_cache, monkeypatch) -> None:
    directory = str(make_bert())
    encode_sentences(TEXTS, directory, cache_dir=tmp_path / "here", quiet=True)
    assert not own_cache.exists()
    forbid_encoding(monkeypatch)
    encode_sentences(TEXTS, directory, cache_dir=tmp_path / "here", quiet=True)


def test_other_weights_or_settings_are_encoded_again(make_bert, monkeypatch) -> None:
    directory = make_bert()
    encode_sentences(TEXTS, str(directory), quiet=True)
    changed = {name: value * np.float32(1.01) for name, value in random_bert().items()}
    others = [make_bert("weights", changed), make_bert("epsilon", layer_norm_eps=1e-3)]
    forbid_encoding(monkeypatch)
    for other in others:
        with pytest.raises(AssertionError, match="encoded again"):
            encode_sentences(TEXTS, str(other), quiet=True)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "shape", "type", "nan", "pickle"])
def test_a_damaged_cache_file_is_made_again(make_bert, own_cache, capsys, damage: str) -> None:
    directory = str(make_bert())
    expected = encode_sentences(TEXTS, directory, quiet=True)
    (path,) = (own_cache / "embeddings").iterdir()
    whole = path.read_bytes()
    bad = {
        "shape": expected[:2],
        "type": expected.astype(np.float64),
        "nan": expected * np.float32("nan"),
        "pickle": np.array([{}], object),
    }
    if damage in bad:
        np.save(path, bad[damage])
    else:
        path.write_bytes({"cut": whole[:-9], "empty": b"", "text": b"no array"}[damage])
    found = encode_sentences(TEXTS, directory)
    np.testing.assert_array_equal(found, expected)
    assert f"cached embeddings {path} are damaged" in capsys.readouterr().err
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_error(make_bert, tmp_path: Path, capsys) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    vectors = encode_sentences(TEXTS, str(make_bert()), cache_dir=blocked)
    assert vectors.shape == (8, 16)
    assert "could not be cached" in capsys.readouterr().err


def test_the_key_tells_texts_apart() -> None:
    keys = {
        cache_key(["a"], ["ab", "c"]),
        cache_key(["a"], ["a", "bc"]),
        cache_key(["a"], ["c", "ab"]),
        cache_key(["b"], ["ab", "c"]),
        cache_key(["a", "ab"], ["c"]),
        cache_key(["a"], ["abc"]),
    }
    assert len(keys) == 6


def test_wrong_calls_are_named(make_bert) -> None:
    directory = str(make_bert())
    with pytest.raises(TypeError, match="texts is one string"):
        encode_sentences("a text", directory)
    with pytest.raises(TypeError, match=r"texts\[1\] is int"):
        encode_sentences(["a", 1], directory)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="tokens_per_batch is 0"):
        encode_sentences(["a"], directory, tokens_per_batch=0)
    with pytest.raises(InputError, match="text 1 is not valid Unicode"):
        encode_sentences(["a", "\ud800"], directory)


def test_import_is_light() -> None:
    code = (
        "import sys, jaxiso.encoders.sentence\n"
        "heavy = {'jax', 'flax', 'transformers', 'torch', 'huggingface_hub'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
