"""Merge decoders: what an export traces says what Keras' own layers say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecap.decoders import DECODERS
from edgecap.decoders.merge_options import MergeOptions
from edgecap.inference import KerasCaptions
from edgecap_runtime.decoding import DecodingOptions
from edgecap_runtime.errors import OptionError
from edgecap_runtime.vocabulary import Vocabulary

WORDS, FEATURES, LONGEST = 20, 7, 6
SMALL = MergeOptions(
    embedding=12,
    word_units=(8,),
    word_projection=10,
    image_projection=10,
    merged_units=(8, 7),
    hidden=9,
    length=9,
)
VARIANTS = {
    "notebook": SMALL,
    "one LSTM": replace(SMALL, merged_units=()),
    "several LSTMs": replace(SMALL, word_units=(8, 6), merged_units=(5,)),
    "concatenated": replace(SMALL, merge="concatenate"),
    "bare layers": replace(
        SMALL, merge="concatenate", word_projection=0, image_projection=0, hidden=0
    ),
    "tied": replace(SMALL, tied=True, hidden=12),
    "Keras 2's gates": replace(SMALL, recurrent_activation="keras2_hard_sigmoid"),
    "Keras 3's gates": replace(SMALL, recurrent_activation="hard_sigmoid"),
    "no standardisation": replace(SMALL, feature_norm=False),
}
READING_PADDING = {
    "keras3, at the end": replace(SMALL, mask="keras3"),
    "keras3, at the start": replace(SMALL, mask="keras3", padded="start"),
    "keras3, several LSTMs": replace(SMALL, mask="keras3", word_units=(8, 6)),
    "none, at the end": replace(SMALL, mask="none"),
    "none, one LSTM, at the start": replace(SMALL, mask="none", padded="start", merged_units=()),
}


def made(name: str, options: MergeOptions) -> Any:
    """Build a decoder with random weights, large enough for unlike answers."""
    decoder = DECODERS[name].build(options, WORDS, FEATURES)
    dice = np.random.default_rng(0)
    for variable in decoder.weights:
        if "variance" not in variable.path:
            variable.assign(dice.normal(0, 0.6, variable.shape))
    return decoder


def prefixes(rows: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Draw features and prefixes, id 0 among the words but not first."""
    dice = np.random.default_rng(1)
    ids = dice.integers(0, WORDS, (rows, LONGEST)).astype(np.int32)
    ids[:, 0] = dice.integers(1, WORDS, rows)
    ids[0, 2] = ids[1, -1] = 0
    return dice.normal(size=(rows, FEATURES)).astype(np.float32), ids


def recurrence(sequence: Any, directions: Sequence[Any]) -> list[np.ndarray]:
    """LSTMs by the book (Hochreiter and Schmidhuber 1997, with forget gates), in numpy."""
    gates = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
        "keras2_hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    }
    answers = []
    for direction in directions:
        gate = gates[direction.recurrent_activation]
        kernel, recurrent, bias = (
            np.asarray(weights)
            for weights in (direction.kernel, direction.recurrent_kernel, direction.bias)
        )
        steps = np.asarray(sequence)[:, :: -1 if direction.reverse else 1]
        hidden = cell = np.zeros((len(steps), len(recurrent)))
        outputs = []
        for place in range(steps.shape[1]):
            inputs = steps[:, place] @ kernel + hidden @ recurrent + bias
            enter, forget, new, leave = np.split(inputs, 4, axis=1)
            cell = gate(forget) * cell + gate(enter) * np.tanh(new)
            hidden = gate(leave) * np.tanh(cell)
            outputs.append(hidden)
        said = np.stack(outputs, axis=1).astype(np.float32)
        answers.append(said[:, :: -1 if direction.reverse else 1])
    return answers


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_steps_say_what_the_whole_graph_says_with_masked_words_among_them(
    options: MergeOptions,
) -> None:
    decoder = made("merge-lstm", options)
    assert decoder.kind == "step"
    features, ids = prefixes()
    whole = np.asarray(decoder.prefix_logits(features, ids))
    assert np.abs(whole[0] - whole[1]).max() > 0.1
    np.testing.assert_allclose(decoder.next_logits(features, ids), whole[:, -1], atol=1e-5)
    state = decoder.first_state(features)
    for place in range(LONGEST):
        vectors = decoder.embedding_table[ids[:, place]]
        logits, state = decoder.step(ids[:, place], vectors, state)
        assert set(state) == set(decoder.state_spec)
        np.testing.assert_allclose(logits, whole[:, place], atol=1e-5)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_a_bilstm_says_the_same_from_bare_prefixes_without_the_masked_words(
    options: MergeOptions,
) -> None:
    decoder = made("merge-bilstm", options)
    assert decoder.kind == "prefix"
    assert decoder.prefix.length is None
    features, ids = prefixes()
    expected = np.asarray(decoder.prefix_logits(features, ids))[:, -1]
    for row in range(len(ids)):
        bare = ids[row : row + 1][:, ids[row] != decoder.prefix.skipped_id]
        state = decoder.first_state(features[row : row + 1])
        logits = decoder.next_word(bare, decoder.embedding_table[bare], state, recurrence)
        np.testing.assert_allclose(np.asarray(logits)[0], expected[row], atol=1e-4)


@pytest.mark.parametrize("name", ["merge-lstm", "merge-bilstm"])
@pytest.mark.parametrize("options", READING_PADDING.values(), ids=READING_PADDING)
def test_where_padding_is_read_the_prefix_has_its_full_length(
    name: str, options: MergeOptions
) -> None:
    decoder = made(name, options)
    assert decoder.kind == "prefix"
    assert decoder.prefix.length == options.length
    features, ids = prefixes()
    missing = options.length - LONGEST
    sides = (missing, 0) if options.padded == "start" else (0, missing)
    whole = np.pad(ids, ((0, 0), sides))
    vectors = decoder.embedding_table[whole]
    logits = decoder.next_word(whole, vectors, decoder.first_state(features), recurrence)
    np.testing.assert_allclose(logits, decoder.next_logits(features, ids), atol=1e-4)


@pytest.mark.parametrize("name", ["merge-lstm", "merge-bilstm"])
@pytest.mark.parametrize("merge", ["add", "concatenate"])
def test_keras_captions_are_those_of_the_likeliest_next_words(name: str, merge: str) -> None:
    decoder = made(name, replace(SMALL, merge=merge))
    vocabulary = Vocabulary(tuple(f"w{place}" for place in range(WORDS)), 1, 2)
    features, _ = prefixes()
    options = DecodingOptions(beam=1, max_words=4)
    for row, said in enumerate(KerasCaptions(decoder, vocabulary).best(features, options)):
        ids = [1]
        while len(ids) <= 4:
            logits = np.array(
                decoder.next_logits(features[row : row + 1], np.array([ids], np.int32))
            )[0]
            logits[1] = -np.inf
            if logits.argmax() == 2:
                break
            ids.append(int(logits.argmax()))
        assert said == [f"w{word}" for word in ids[1:]]


def test_masks_matter() -> None:
    features, ids = prefixes()
    said = [
        np.asarray(made("merge-lstm", replace(SMALL, mask=mask)).next_logits(features, ids))
        for mask in ("keras2", "keras3", "none")
    ]
    assert np.abs(said[0] - said[1]).max() > 0.01
    assert np.abs(said[1] - said[2]).max() > 0.01


def test_a_mask_between_words_and_image_alone_changes_nothing_where_no_lstm_follows() -> None:
    features, ids = prefixes()
    keras2, keras3 = (
        made("merge-lstm", replace(SMALL, mask=mask, merged_units=()))
        for mask in ("keras2", "keras3")
    )
    assert keras3.kind == "step"
    np.testing.assert_array_equal(
        keras2.next_logits(features, ids), keras3.next_logits(features, ids)
    )


@pytest.mark.parametrize("name", ["merge-lstm", "merge-bilstm"])
def test_training_graph_agrees_with_what_is_exported(name: str) -> None:
    decoder = made(name, SMALL)
    features, ids = prefixes()
    ids[ids == 0] = 1
    said = np.asarray(decoder({"features": features, "ids": ids}, training=False))
    np.testing.assert_allclose(said[:, -1], decoder.next_logits(features, ids), atol=1e-5)
    assert said.shape[1] == (LONGEST if name == "merge-lstm" else 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"merge": "multiply"}, "choose one of: add, concatenate"),
        ({"mask": "keras4"}, "keras2, keras3, none"),
        ({"word_units": ()}, "at least one LSTM"),
        ({"merged_units": (8, 0)}, "8,0"),
        ({"hidden": -1}, "at least 0"),
        ({"embedding": 0}, "at least 1"),
        ({"dropout": 1.0}, "from 0 up to 1"),
    ],
)
def test_settings_that_are_none_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        replace(SMALL, **changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"word_projection": 11}, "11 wide and the image 10 wide"),
        ({"tied": True}, "decoder.hidden=12"),
    ],
)
def test_widths_that_disagree_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        made("merge-lstm", replace(SMALL, **changes))


def test_a_decoder_that_reads_padding_is_not_trained() -> None:
    decoder = made("merge-lstm", replace(SMALL, mask="none"))
    features, ids = prefixes()
    with pytest.raises(OptionError, match="train with 'keras2'"):
        decoder({"features": features, "ids": ids}, training=True)
