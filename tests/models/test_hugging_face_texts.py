"""Text classifiers of transformers from folders: tokens, padding, blocks, heads, and what is refused."""

import json

import pytest
import torch
import transformers

from biotune.errors import InputError
from biotune.models import forward_logits, load_model, load_text_network, resolve_name, takes_texts, tokenizer_inputs
from biotune.records import inputs_from_json
from biotune.settings.texts import TextConfig
from biotune.texts import encoder_of
from hugging_face_texts import CONFIGS, LENGTH, VOCABULARY, save_classifier, save_tokenizer

TEXTS = ("yes no the", "The film, quite a story!", "it", "no and yes of a very very story with the film")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One saved network of five classes per family."""
    root = tmp_path_factory.mktemp("texts")
    for family in CONFIGS:
        save_classifier(root / family, family)
    return root


def loaded_from(folder, classes=3, **options):
    name = resolve_name(f"hf:{folder}")
    return load_text_network(name, classes, tokenizer_inputs(name, 256), TextConfig(), **{"weights": "auto", **options})


def rows_of(inputs, texts=TEXTS):
    return torch.stack([torch.from_numpy(encoder_of(inputs).row(text)) for text in texts])


def test_a_row_by_hand(folders):
    """[CLS] yes [UNK] film [SEP], each token one higher than the tokenizer's, then padding."""
    inputs = tokenizer_inputs(resolve_name(f"hf:{folders / 'bert'}"), 256)
    film = VOCABULARY.index("film") + 1
    assert encoder_of(inputs).row("Yes unheard FILM").tolist() == [3, 5, 2, film, 4] + [0] * (LENGTH - 5)
    assert (inputs.max_length, inputs.vocabulary_size) == (LENGTH, len(VOCABULARY))


def test_a_long_text_is_cut_and_keeps_its_end_token(folders):
    inputs = tokenizer_inputs(resolve_name(f"hf:{folders / 'bert'}"), 6)
    assert encoder_of(inputs).row("yes " * 50).tolist() == [3, 5, 5, 5, 5, 4]


def test_how_texts_become_inputs_survives_json(folders):
    inputs = tokenizer_inputs(resolve_name(f"hf:{folders / 'bert'}"), 6)
    again = inputs_from_json(json.loads(json.dumps(inputs.to_json())))
    assert (again, again.fingerprint, again.sample_shape) == (inputs, inputs.fingerprint, (6,))


@pytest.mark.parametrize("family", CONFIGS)
def test_the_logits_are_those_of_transformers(folders, family):
    """The body is the folder's; with the folder's head, the logits are its own, whatever the padding."""
    loaded = loaded_from(folders / family, 5)
    original = transformers.AutoModelForSequenceClassification.from_pretrained(folders / family).eval()
    loaded.model.load_state_dict(original.state_dict())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders / family)
    with torch.no_grad():
        found = forward_logits(loaded.model, rows_of(loaded.preprocessing))
        alone = [original(**tokenizer(text, return_tensors="pt")).logits[0] for text in TEXTS]
    torch.testing.assert_close(found, torch.stack(alone), rtol=0, atol=1e-5)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


@pytest.mark.parametrize("family", CONFIGS)
def test_blocks_are_embeddings_layers_and_head(folders, family):
    loaded = loaded_from(folders / family)
    names = loaded.partition.names
    assert [name.rpartition(".")[2] for name in names[:4]] == ["embeddings", "0", "1", "2"]
    assert names[-1] == "head"
    assert not any(block.inert for block in loaded.partition.blocks)
    assert not any(module.training for module in loaded.model.modules())


def test_the_head_is_fresh_and_random_weights_are_always_the_same(folders):
    pretrained, one, two = (loaded_from(folders / "bert", weights=weights) for weights in ("auto", "random", "random"))
    assert pretrained.heads == ("classifier",)
    assert one.weights_sha256 == two.weights_sha256 != pretrained.weights_sha256
    assert torch.equal(pretrained.model.classifier.weight, one.model.classifier.weight)


def test_a_text_without_tokens_has_logits(folders):
    loaded = loaded_from(folders / "bert")
    assert torch.isfinite(forward_logits(loaded.model, torch.zeros(2, LENGTH, dtype=torch.int64))).all()


def test_a_network_before_its_last_training_is_taken(tmp_path):
    transformers.BertModel(CONFIGS["bert"]).save_pretrained(save_tokenizer(tmp_path))
    assert loaded_from(tmp_path).weights.endswith(", saved as BertModel, its own head left out")


def test_what_a_folder_takes_is_known_by_its_files(folders, tmp_path):
    assert takes_texts(f"hf:{folders / 'bert'}")
    assert not takes_texts(f"hf:{tmp_path}")
    both = save_tokenizer(tmp_path)
    (both / "preprocessor_config.json").write_text("{}")
    assert not takes_texts(f"hf:{both}")
    with pytest.raises(InputError, match="takes texts and is built for the words of a run"):
        load_model(f"hf:{folders / 'bert'}", 3)


def changed(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vocab_size": 7}, "has 16 tokens, but the network knows 7; give the folder of a network with its own"),
        ({"pad_token_id": None}, "has no token for padding"),
        ({"model_type": "vit"}, "is not a text classifier that transformers itself can load"),
        ({"model_type": "strange"}, "is not a text classifier that transformers itself can load"),
        ({"hidden_size": 32}, "these weights do not fit"),
    ],
)
def test_a_folder_that_is_something_else(tmp_path, values, message):
    save_classifier(tmp_path)
    changed(tmp_path, **values)
    with pytest.raises(InputError, match=message):
        loaded_from(tmp_path)


def test_a_damaged_tokenizer(tmp_path):
    save_classifier(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(InputError, match=r"the tokenizer cannot be used .*; save it again"):
        loaded_from(tmp_path)


def test_longer_texts_than_the_network_takes(tmp_path):
    """RoBERTa counts positions from behind its padding token; only its tokenizer's file says so."""
    save_classifier(tmp_path, "roberta")
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match=r"takes no texts of 17 tokens .*; see fewer words of each \(--max-length\)"):
        loaded_from(tmp_path)
