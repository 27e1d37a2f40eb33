"""What the files beside the weights may say, and what is said of those that may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_encoder import SPECIAL, WORDS, random_bert, write_json

from jaxiso.cli.console import InputError
from jaxiso.encoders.architecture import read_architecture
from jaxiso.encoders.encode import encode
from jaxiso.encoders.models import open_model
from jaxiso.encoders.settings import normalises
from jaxiso.encoders.tokens import TextSettings, load_tokenizer, tokenize
from jaxiso.encoders.weights import find_encoder

SENTENCE_FILES = (
    "config.json",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)


def read_settings(directory: Path) -> tuple[TextSettings, bool]:
    """All that is read before texts are encoded."""
    read_architecture(directory)
    return open_model(find_encoder(str(directory))).text, normalises(directory)


@pytest.mark.parametrize("file", SENTENCE_FILES)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": "\xe9"}', "not UTF-8"),
        (b'{"a": ', "not JSON"),
    ],
    ids=["deep", "digits", "surrogate", "latin-1", "cut"],
)
def test_json_that_no_program_can_read(make_bert, file: str, content: bytes, says: str) -> None:
    directory = make_bert()
    (directory / file).write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        read_settings(directory)
    assert str(directory / file) in str(caught.value)


@pytest.mark.parametrize("outside", ["../outside", "/absolute", "1_Pooling/../../outside", 3, None])
def test_modules_stay_inside_of_the_folder(make_bert, outside) -> None:
    directory = make_bert()
    write_json(directory.parent / "outside" / "config.json", {"pooling_mode_mean_tokens": True})
    modules = json.loads((directory / "modules.json").read_text())
    modules[1]["path"] = str(directory.parent / "outside") if outside == "/absolute" else outside
    write_json(directory / "modules.json", modules)
    with pytest.raises(InputError, match=r"modules\.json: the path .* is not a folder inside"):
        read_settings(directory)
    modules[1]["path"] = "linked"
    write_json(directory / "modules.json", modules)
    (directory / "linked").symlink_to(directory.parent / "outside")
    with pytest.raises(InputError, match="the path 'linked' is not a folder inside"):
        read_settings(directory)


def test_a_vocabulary_alone_makes_a_tokenizer(make_bert) -> None:
    directory = make_bert()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (directory / file).unlink()
    with pytest.raises(InputError, match="its tokenizer has no words"):
        load_tokenizer(directory)
    words = [word for word in WORDS if word != "good"] + ["go", "##od"]
    (directory / "vocab.txt").write_text("\n".join([*SPECIAL["bert"], *words]) + "\n")
    ids = {word: 4 + i for i, word in enumerate(words)}
    found = load_tokenizer(directory)("The film: good.")["input_ids"]
    pieces = [ids[word] for word in ("the", "film")], [ids[word] for word in ("go", "##od", ".")]
    assert found == [1, *pieces[0], 3, *pieces[1], 2]


def test_roberta_s_vocabulary_and_merges(make_bert) -> None:
    directory = make_bert(model_type="roberta", pad_token_id=1)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (directory / file).unlink()
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "f", "i", "l", "m", "Ġ", "fi", "Ġfi"]
    write_json(directory / "vocab.json", {token: i for i, token in enumerate(tokens)})
    (directory / "merges.txt").write_text("#version: 0.2\nf i\nĠ fi\n")
    assert load_tokenizer(directory)("film fi")["input_ids"] == [0, 10, 7, 8, 11, 2]


def test_code_that_comes_with_a_model_is_not_run(make_bert) -> None:
    directory = make_bert(auto_map={"AutoConfig": "evil.Config", "AutoTokenizer": "evil.Tokens"})
    write_json(
        directory / "tokenizer_config.json",
        {"tokenizer_class": "Tokens", "auto_map": {"AutoTokenizer": [None, "evil.Tokens"]}},
    )
    (directory / "evil.py").write_text("raise SystemExit('executed')")
    assert read_settings(directory)[0].max_tokens == 30
    try:
        load_tokenizer(directory)
    except InputError as error:
        assert "its tokenizer cannot be read" in str(error)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "gpt2"}, "'gpt2' does not run in Flax; those that do: bert, mpnet, rob"),
        ({"hidden_act": "relu"}, "hidden_act 'relu' does not run in Flax; only gelu does"),
        ({"position_embedding_type": "relative_key"}, "only absolute does"),
        ({"hidden_size": "16"}, "Field 'hidden_size' expected int, got str"),
        ({"hidden_size": None}, "Field 'hidden_size' expected int, got NoneType"),
        ({"hidden_size": -16}, "hidden_size is -16, expected a whole number"),
        ({"num_attention_heads": 3}, "16 is not a multiple of num_attention_heads 3"),
        ({"layer_norm_eps": "x"}, "Field 'layer_norm_eps' expected float, got str"),
        ({"model_type": "mpnet", "pad_token_id": 0}, "pad_token_id 0 .* allowed: 1"),
        ({"max_position_embeddings": 20}, "max_seq_length is 30, expected 3 to 20"),
    ],
)
def test_unsupported_configurations(make_bert, change: dict, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_settings(make_bert(**change))
    assert ".json: " in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True}, "pooling_mode_cls_token"),
        ("1_Pooling/config.json", {"pooling_mode": "max"}, "allowed: pooling_mode_mean_tokens"),
        ("1_Pooling/config.json", {}, "the pooling none is not supported"),
        ("modules.json", [], "are not supported; allowed: Transformer"),
        ("modules.json", {"a": 1}, "expected a list"),
        ("config.json", [1], "expected a JSON object, found list"),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "query", "prompts": {"query": "query: "}},
            "default_prompt_name 'query' is not supported",
        ),
        ("config_sentence_transformers.json", {"prompts": ["a"]}, "prompts must be an object"),
        ("config_sentence_transformers.json", {"default_prompt_name": 1}, "a string or null"),
        ("sentence_bert_config.json", {"max_seq_length": "9"}, "max_seq_length is '9', expected"),
        ("sentence_bert_config.json", {"max_seq_length": 99}, "is 99, expected 3 to 40"),
        ("sentence_bert_config.json", {"do_lower_case": "no"}, "do_lower_case is 'no', expected"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_mean_tokens": 1, "pooling_mode_cls_token": "1"},
            "pooling_mode_cls_token, pooling_mode_mean_tokens",
        ),
    ],
)
def test_unsupported_sentence_files(make_bert, file: str, content, says: str) -> None:
    directory = make_bert()
    write_json(directory / file, content)
    with pytest.raises(InputError, match=says) as caught:
        read_settings(directory)
    assert str(directory / file) in str(caught.value)


def test_modules_after_pooling_are_not_ignored(make_bert) -> None:
    directory = make_bert()
    modules = json.loads((directory / "modules.json").read_text())
    modules.insert(2, {"path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    write_json(directory / "modules.json", modules)
    with pytest.raises(InputError, match=r"Dense, .* are not supported"):
        read_settings(directory)
    modules[2] = {"path": "2_Normalize", "type": "somebodys.code.Normalize"}
    write_json(directory / "modules.json", modules[:3])
    with pytest.raises(InputError, match=r"somebodys\.code\.Normalize"):
        read_settings(directory)


def test_newer_names_of_the_same_modules(make_bert) -> None:
    directory = make_bert()
    classes = (
        "base.modules.transformer.Transformer",
        "sentence_transformer.modules.pooling.Pooling",
        "sentence_transformer.modules.normalize.Normalize",
    )
    paths = ("", "1_Pooling", "2_Normalize")
    modules = [
        {"path": path, "type": f"sentence_transformers.{kind}"}
        for path, kind in zip(paths, classes, strict=True)
    ]
    write_json(directory / "modules.json", modules)
    write_json(directory / "1_Pooling" / "config.json", {"pooling_mode": "mean"})
    assert read_settings(directory)[1]


def test_length_limit_without_sentence_transformers(make_bert) -> None:
    directory = make_bert()
    (directory / "sentence_bert_config.json").unlink()
    assert read_settings(directory)[0].max_tokens == 40
    write_json(directory / "tokenizer_config.json", {"model_max_length": 20})
    assert read_settings(directory)[0].max_tokens == 20
    write_json(directory / "tokenizer_config.json", {"model_max_length": 1e30})
    assert read_settings(directory)[0].max_tokens == 40


def test_tokenizers_are_checked(make_bert) -> None:
    small = {k: v[:9] if "word_emb" in k else v for k, v in random_bert().items()}
    directory = make_bert("small", small, vocab_size=9)
    with pytest.raises(InputError, match="has only 9 tokens: they do not belong together"):
        encode(["good bad"], str(directory), quiet=True)
    for content in ("{}", "[" * 100_000, '{"model": 3}', ""):
        (directory / "tokenizer.json").write_text(content)
        with pytest.raises(InputError, match="its tokenizer cannot be read"):
            encode(["good"], str(directory), quiet=True)


@pytest.mark.parametrize("file", [*SENTENCE_FILES, "tokenizer.json", "tokenizer_config.json"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_a_result_or_a_complaint(make_bert, file: str, data) -> None:
    directory = make_bert(exist_ok=True)
    (directory / "config_sentence_transformers.json").write_text('{"prompts": {"a": "b"}}')
    content = bytearray((directory / file).read_bytes())
    start = data.draw(st.integers(0, len(content) - 1), "start")
    change = data.draw(st.sampled_from(["flip", "cut", "repeat", "null", "number"]), "change")
    if change == "flip":
        content[start] ^= 1 << data.draw(st.integers(0, 7), "bit")
    elif change == "cut":
        del content[start : start + data.draw(st.integers(1, 30), "length")]
    elif change == "repeat":
        content[start:start] = content[start : start + 30]
    else:
        end = content.find(b",", start)
        content[content.rfind(b":", 0, start) + 1 : end if end > 0 else None] = {
            "null": b"null",
            "number": b"-1e400",
        }[change]
    (directory / file).write_bytes(content)
    try:
        tokenize(["the film"], directory, read_settings(directory)[0])
    except InputError as error:
        assert str(directory) in str(error)
