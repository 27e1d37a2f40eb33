"""The Flax encoders against PyTorch's, and against vectors published beside the task."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tiny_encoder import TEXTS, VOCABULARY, random_bert, write_sentence_files
from tokenizers import Tokenizer

from jaxiso.cli.console import InputError
from jaxiso.encoders.architecture import read_architecture
from jaxiso.encoders.encode import encode
from jaxiso.encoders.models import open_model
from jaxiso.encoders.tokens import tokenize
from jaxiso.encoders.transformer import (
    SentenceEncoder,
    encode_batch,
    read_params,
    relative_buckets,
)
from jaxiso.encoders.weights import find_encoder


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    with warnings.catch_warnings():  # torch's own modules warn while they are imported
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is the reference for the encoders")


def torch_vectors(torch: ModuleType, model, directory: Path, texts: list[str]) -> np.ndarray:
    """Mean pooling and normalisation of a transformers model, one padded batch at a time."""
    settings = open_model(find_encoder(str(directory))).text
    pad = settings.pad_id
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.enable_truncation(max_length=settings.max_tokens)
    tokenizer.enable_padding(pad_id=pad)
    encodings = tokenizer.encode_batch([text.strip() for text in texts])
    ids = torch.tensor([one.ids for one in encodings])
    mask = torch.tensor([one.attention_mask for one in encodings])
    out = []
    with torch.inference_mode():
        for start in range(0, len(texts), 8):
            rows = mask[start : start + 8]
            tokens = model(ids[start : start + 8], attention_mask=rows).last_hidden_state
            weights = rows[:, :, None].float()
            pooled = (tokens * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
            out.append(torch.nn.functional.normalize(pooled).numpy())
    return np.concatenate(out)


def small_model(torch: ModuleType, family: str, *, with_head: bool):
    import transformers

    torch.manual_seed(0)
    names = {"bert": "Bert", "mpnet": "MPNet", "roberta": "Roberta"}
    config = getattr(transformers, f"{names[family]}Config")(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=160,
        initializer_range=0.3,  # large, so that a slip in any term shows
    )
    kind = "ForMaskedLM" if with_head else "Model"
    return getattr(transformers, names[family] + kind)(config).eval()


@pytest.mark.parametrize(
    ("family", "with_head"), [("bert", False), ("bert", True), ("mpnet", False), ("roberta", True)]
)
def test_random_models_agree_with_torch(
    torch: ModuleType, tmp_path: Path, family: str, with_head: bool
) -> None:
    model = small_model(torch, family, with_head=with_head)
    with torch.no_grad():  # torch starts them at 0 and 1, which would hide a mix-up
        for name, value in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                value.add_(0.3 * torch.randn_like(value))
    directory = tmp_path / family
    model.save_pretrained(directory)
    write_sentence_files(directory, family, max_seq_length=150)
    texts = [*TEXTS, "very " * 140, "good " * 100]  # MPNet's distance buckets end at 128
    base = getattr(model, family) if with_head else model
    expected = torch_vectors(torch, base, directory, texts)
    found = encode(texts, str(directory), quiet=True, batch_size=8)
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=0)
    assert np.ptp(found, axis=0).max() > 0.1  # the texts do differ


def test_relative_buckets_are_those_of_transformers(torch: ModuleType) -> None:
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    places = torch.arange(512)
    relative = places[None, :] - places[:, None]
    expected = MPNetEncoder.relative_position_bucket(relative).numpy()
    np.testing.assert_array_equal(relative_buckets(512), expected)


def test_minilm_agrees_with_torch(torch: ModuleType) -> None:
    from transformers import BertModel

    files = find_encoder("minilm")
    texts = ["A dog runs.", "", "naïve — 中文 Ünïcödé", "so " * 300, "tediously long , but fun ."]
    model = BertModel.from_pretrained(files.directory).eval()
    expected = torch_vectors(torch, model, files.directory, texts)
    found = encode(texts, "minilm", quiet=True, batch_size=2)
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
    # The tokenizer file alone gives what transformers' class makes of the whole folder.
    tokenizer = Tokenizer.from_file(str(files.directory / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    ours = tokenize(texts, files.directory, open_model(files).text)
    theirs = tokenizer.encode_batch([text.strip() for text in texts])
    assert [one.ids for one in theirs] == [one.tolist() for one in ours.ids] and ours.cut == 1


def test_minilm_agrees_with_sentence_transformers(targets_dir: Path) -> None:
    reference = np.load(targets_dir / "minilm_embeddings.npz", allow_pickle=False)
    texts = [str(text) for text in reference["texts"]]
    found = encode(texts, "minilm", quiet=True)
    np.testing.assert_allclose(found, reference["embeddings"], atol=1e-5, rtol=0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.slow
def test_mpnet_agrees_with_torch(
    torch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Needs all-mpnet-base-v2 (440 MB) in the user's own cache, hub cache or packages."""
    from transformers import MPNetModel

    monkeypatch.delenv("JAXISO_CACHE")
    files = find_encoder("mpnet")
    texts = ["A dog runs.", "", "naïve — 中文 Ünïcödé", "so " * 500, "a <mask> and a <pad> ."]
    model = MPNetModel.from_pretrained(files.directory).eval()
    expected = torch_vectors(torch, model, files.directory, texts)
    found = encode(texts, "mpnet", cache_dir=tmp_path, quiet=True)
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=0)


def test_a_row_of_padding_gives_zeros(make_bert) -> None:
    directory = make_bert()
    shape = read_architecture(directory)
    params = read_params(directory / "model.safetensors", shape)
    ids, mask = np.zeros((2, 5), np.int32), np.array([[True] * 5, [False] * 5])
    out = np.asarray(encode_batch(params, ids, mask, architecture=shape, normalise=True))
    assert np.linalg.norm(out[0]) == pytest.approx(1, abs=1e-6)
    assert not out[1].any()


def test_tensors_are_checked(make_bert) -> None:
    key = "encoder.layer.1.attention.self.key.weight"
    tensors = random_bert()
    cases = {
        "missing": ({k: v for k, v in tensors.items() if k != key}, f"tensor {key} is missing"),
        "narrow": (tensors | {key: tensors[key][:5]}, r"has shape \(5, 16\), but config.json"),
        "whole": (tensors | {key: tensors[key].astype(np.int32)}, "is int32; allowed: float32"),
        "none": ({"x": tensors[key]}, "expected one tensor …embeddings.word_embeddings"),
    }
    for name, (content, says) in cases.items():
        directory = make_bert(name, content)
        with pytest.raises(InputError, match=says):
            encode(["a"], str(directory))
    directory = make_bert("damaged")
    shape = read_architecture(directory)
    for content in (b"", b"not safetensors, but long enough to have a header"):
        (directory / "model.safetensors").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as safetensors"):
            read_params(directory / "model.safetensors", shape)


def test_vectors_that_are_not_finite_are_an_error(make_bert) -> None:
    tensors = random_bert()
    tensors["embeddings.word_embeddings.weight"][:] = np.nan
    with pytest.raises(InputError, match="not finite"):
        encode(["good"], str(make_bert(tensors=tensors)), quiet=True)


def test_checkpoint_gives_exactly_the_modules_parameters(make_bert) -> None:
    directory = make_bert()
    shape = read_architecture(directory)
    tokens = np.zeros((1, 4), np.int32)
    init = SentenceEncoder(shape).init
    variables = jax.eval_shape(init, jax.random.key(0), tokens, tokens == 0)
    wanted = jax.tree.map(lambda leaf: leaf.shape, variables["params"])
    found = read_params(directory / "model.safetensors", shape)
    assert jax.tree.map(lambda leaf: leaf.shape, found) == wanted


@hypothesis.settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_header_is_a_result_or_a_complaint(make_bert, data) -> None:
    directory = make_bert(exist_ok=True)
    path, shape = directory / "model.safetensors", read_architecture(directory)
    content = bytearray(path.read_bytes())
    header = int.from_bytes(content[:8], "little")
    start = data.draw(st.integers(0, header), "start")
    change = data.draw(st.sampled_from(["flip", "cut", "type", "offset"]), "change")
    if change == "flip":
        content[start] ^= 1 << data.draw(st.integers(0, 7), "bit")
    elif change == "cut":
        del content[start : start + 9]
    elif change == "type":
        kind = data.draw(st.sampled_from([b"F16", b"I32", b"U8 ", b"F64", b"BOO", b"F8_"]), "kind")
        place = content.find(b"F32", start)
        content[place : place + 3] = kind
    else:
        place = content.find(b"[", start)
        content[place + 1 : place + 2] = b"9"
    path.write_bytes(content)
    try:
        read_params(path, shape)
    except InputError as error:
        assert str(path) in str(error)
