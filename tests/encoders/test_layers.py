"""`encode` by layer, by pooling and by token, against PyTorch's hidden states."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tiny_encoder import TEXTS, VOCABULARY, write_sentence_files

from jaxiso.cli.console import InputError
from jaxiso.encoders import running
from jaxiso.encoders.encode import encode
from jaxiso.encoders.models import open_model, pooling_weights
from jaxiso.encoders.tokens import tokenize
from jaxiso.encoders.weights import find_encoder


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    with warnings.catch_warnings():  # torch's own modules warn while they are imported
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="models of other families run in PyTorch")


COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,  # large, so that a slip in any term shows
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "mpnet": ("MPNetModel", COMMON),
    "roberta": ("RobertaModel", COMMON),
    "gpt2": (
        "GPT2LMHeadModel",
        {
            "vocab_size": VOCABULARY,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 64,
            "initializer_range": 0.3,
            "bos_token_id": 0,
            "eos_token_id": 0,
        },
    ),
    "llama": ("LlamaModel", COMMON | {"num_key_value_heads": 2}),
    "modernbert": (
        "ModernBertModel",
        COMMON
        | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1}
        | {"sep_token_id": 2, "local_attention": 8},
    ),
    "t5": (
        "T5Model",
        {"vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2}
        | {"num_heads": 4, "initializer_factor": 3.0, "pad_token_id": 0, "eos_token_id": 1},
    ),
}
TEXTS_HERE = [text for text in TEXTS if text] + ["film"]


@pytest.fixture(scope="module", params=FAMILIES)
def model(torch: ModuleType, request, tmp_path_factory) -> tuple[Any, Path]:
    """A network of random weights, and the folder that it was saved in."""
    import transformers

    name, settings = FAMILIES[request.param]
    kind = getattr(transformers, name)
    torch.manual_seed(0)
    network = kind(kind.config_class(**settings)).eval()
    with torch.no_grad():  # torch starts them at 0 and 1, which would hide a mix-up
        for key, value in network.named_parameters():
            if key.endswith("bias") or "norm" in key.lower() or "ln_" in key:
                value.add_(0.3 * torch.randn_like(value))
    directory = tmp_path_factory.mktemp("models") / request.param
    shards = {"max_shard_size": "20KB"} if request.param == "llama" else {}
    network.save_pretrained(directory, **shards)
    write_sentence_files(directory, "bert" if request.param == "modernbert" else "other")
    if request.param in ("gpt2", "llama", "t5"):  # no files of sentence-transformers
        for file in ("modules.json", "1_Pooling/config.json", "sentence_bert_config.json"):
            (directory / file).unlink()
    return network, directory


def hidden_states(torch: ModuleType, network: Any, directory: Path, text: str) -> np.ndarray:
    """(layers, tokens, dim) of one text by itself, without padding."""
    ids = tokenize([text], directory, open_model(find_encoder(str(directory))).text).ids
    run = {"gpt2": "transformer"}.get(network.config.model_type)
    network = getattr(network, run) if run else network
    if network.config.is_encoder_decoder:
        network = network.get_encoder()
    with torch.inference_mode():
        found = network(torch.tensor(np.stack(ids)).long(), output_hidden_states=True).hidden_states
    return torch.stack(found)[:, 0].numpy()


def test_every_layer_is_that_of_a_text_without_padding(torch, model) -> None:
    network, directory = model
    states = [hidden_states(torch, network, directory, text) for text in TEXTS_HERE]
    settings: dict[str, Any] = {"layers": "all", "quiet": True, "batch_size": 4}
    pools = {
        "mean": lambda one: one.mean(axis=1),
        "cls": lambda one: one[:, 0],
        "last": lambda one: one[:, -1],
    }
    for pooling, pool in pools.items():
        expected = np.stack([pool(one) for one in states], axis=1)
        found = encode(TEXTS_HERE, str(directory), pooling=pooling, **settings)  # type: ignore
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, atol=3e-6 * scale, rtol=0)
        assert found.dtype == np.float32
        if pooling != "cls":  # a causal model's first token, <s>, knows nothing of the text
            assert np.ptp(found[-1], axis=0).max() > 0.1 * scale
    tokens = encode(TEXTS_HERE, str(directory), tokens=True, **settings)
    texts = tokenize(TEXTS_HERE, directory, open_model(find_encoder(str(directory))).text)
    kept = [one[:, ~special] for one, special in zip(states, texts.special, strict=True)]
    expected = np.concatenate(kept, axis=1)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(tokens.vectors, expected, atol=3e-6 * scale, rtol=0)
    assert tokens.texts.tolist() == np.repeat(range(8), [one.shape[1] for one in kept]).tolist()
    assert tokens.tokens[:4] == ["the", "film", "is", "good"]
    assert len(set(zip(tokens.ids.tolist(), tokens.tokens, strict=True))) == len(set(tokens.tokens))


def test_sentences_are_the_mean_of_the_last_layer(model) -> None:
    _, directory = model
    mean = encode(TEXTS_HERE, str(directory), layers=[-1], quiet=True)[0]
    found = encode(TEXTS_HERE, str(directory), quiet=True)
    unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(found, unit, atol=1e-6)


def test_layers_are_cached_one_by_one(make_bert, own_cache, monkeypatch) -> None:
    directory = str(make_bert())
    whole = encode(TEXTS, directory, layers="all", quiet=True)
    assert whole.shape == (3, 8, 16) and len(list((own_cache / "embeddings").iterdir())) == 3
    words = encode(TEXTS, directory, layers=[1], tokens=True, quiet=True)
    last = encode(TEXTS, directory, pooling="last", quiet=True)
    assert last.shape == (8, 16)

    def fail(*_args, **_options):
        raise AssertionError("encoded again")

    monkeypatch.setattr(running, "plan_batches", fail)
    found = encode(TEXTS, directory, layers=[2, 0, -1], quiet=True)
    np.testing.assert_array_equal(found, whole[[2, 0, 2]])
    again = encode(TEXTS, directory, layers=[-2], tokens=True, quiet=True)
    np.testing.assert_array_equal(again.vectors, words.vectors)
    np.testing.assert_array_equal(encode(TEXTS, directory, pooling="last", quiet=True), last)
    for other in ({"pooling": "cls"}, {"layers": [0], "tokens": True}):
        with pytest.raises(AssertionError, match="encoded again"):
            encode(TEXTS, directory, quiet=True, **other)  # type: ignore[arg-type]


def test_layers_that_there_are_not(make_bert) -> None:
    directory = str(make_bert())
    for layers, says in (
        ([3], "layer 3: tiny has the layers 0 to 2"),
        ([-4], "layer -4"),
        ([], "layers is empty"),
        ("first", "layers is 'first', expected 'last', 'all'"),
    ):
        with pytest.raises(ValueError, match=says):
            encode(TEXTS, directory, layers=layers)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pooling is 'max', expected one of mean, cls, last"):
        encode(TEXTS, directory, pooling="max")  # type: ignore[arg-type]
    assert encode([], directory, layers="all").shape == (3, 0, 16)


def test_other_pooling_needs_no_files_of_sentence_transformers(make_bert) -> None:
    directory = make_bert()
    (directory / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    with pytest.raises(InputError, match="pooling_mode_cls_token is not supported"):
        encode(TEXTS, str(directory), quiet=True)
    assert encode(TEXTS, str(directory), pooling="cls", quiet=True).shape == (8, 16)


def test_weights_of_poolings() -> None:
    mask = np.array([[True, True, True, False], [True, False, False, False], [False] * 4])
    expected = {
        "mean": [[1 / 3] * 3 + [0], [1, 0, 0, 0], [0] * 4],
        "cls": [[1, 0, 0, 0], [1, 0, 0, 0], [0] * 4],
        "last": [[0, 0, 1, 0], [1, 0, 0, 0], [0] * 4],
    }
    for pooling, weights in expected.items():
        found = pooling_weights(mask, pooling)
        np.testing.assert_allclose(found, weights, atol=1e-7)
        assert found.dtype == np.float32
