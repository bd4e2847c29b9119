"""Graphs are recognised by what they do; what is not known is refused at the layer where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

from edgecap.importing.config import read_graph
from edgecap.importing.containers.living import living_weights, record_of
from edgecap.importing.decoder import Filling, settle
from edgecap.importing.graph import Origin
from edgecap.importing.recognise import recognise
from edgecap_runtime.errors import OptionError

WORDS, LENGTH, FEATURES = 20, 6, 5


def understood(model: Any) -> Filling:
    version = 2 if model.__module__.startswith("tf_keras") else 3
    origin = Origin("test", "", version)
    return settle(recognise(read_graph(record_of(model), living_weights(model), origin)))


class Notebook:
    """A graph with one thing to change."""

    def __init__(self, library: Any = keras) -> None:
        self.library, self.layers = library, library.layers
        self.features, self.ids = library.Input((FEATURES,)), library.Input((LENGTH,))

    def words(self, **options: Any) -> Any:
        embedded = self.layers.Embedding(WORDS, 4, mask_zero=True)(self.ids)
        return self.layers.LSTM(4, **{"return_sequences": True, **options})(embedded)

    def image(self) -> Any:
        return self.layers.RepeatVector(LENGTH)(self.layers.Dense(4, "relu")(self.features))

    def joined(self) -> Any:
        return self.layers.Add()([self.words(), self.image()])

    def model(self, last: Any, **options: Any) -> Any:
        said = self.layers.Dense(WORDS, **{"activation": "softmax", **options})(last)
        return self.library.Model([self.features, self.ids], said)


def build_refused() -> dict[str, tuple[Callable[[Notebook], Any], str]]:
    """Name graphs that are refused, and a part of the sentence."""

    def lstm(n: Notebook, **options: Any) -> Any:
        return n.model(n.layers.LSTM(4, **options)(n.joined()))

    def both(n: Notebook, **options: Any) -> Any:
        inner = options.pop("layer", None) or n.layers.LSTM(4)
        return n.model(n.layers.Bidirectional(inner, **options)(n.joined()))

    def started(n: Notebook) -> Any:
        first = n.layers.Dense(4)(n.features)
        embedded = n.layers.Embedding(WORDS, 4)(n.ids)
        return n.model(n.layers.LSTM(4)(embedded, initial_state=[first, first]))

    def stateful_place(n: Notebook) -> Any:
        _, state, _ = n.layers.LSTM(4, return_state=True)(n.joined())
        return n.model(state)

    def inject(n: Notebook) -> Any:
        image = n.layers.Reshape((1, 4))(n.layers.Dense(4)(n.features))
        embedded = n.layers.Embedding(WORDS, 4)(n.ids)
        return n.model(n.layers.LSTM(4)(n.layers.Concatenate(axis=1)([image, embedded])))

    def in_time(n: Notebook) -> Any:
        joined = n.layers.Concatenate(axis=1)([n.words(), n.image()])
        return n.model(n.layers.LSTM(4)(joined))

    def wordless(n: Notebook) -> Any:
        embedded = n.layers.Embedding(WORDS, 4)(n.ids)
        return n.model(n.layers.LSTM(4)(n.layers.Add()([embedded, n.image()])))

    def shared(n: Notebook) -> Any:
        dense = n.layers.Dense(4)
        return n.model(dense(dense(n.layers.LSTM(4)(n.joined()))))

    def outputs(n: Notebook) -> Any:
        model = n.model(n.layers.LSTM(4)(n.joined()))
        return n.library.Model(model.inputs, [model.output, model.output])

    def mixed(n: Notebook) -> Any:
        return n.model(n.layers.Bidirectional(n.layers.LSTM(4))(n.joined()))

    def three(n: Notebook) -> Any:
        joined = n.layers.Add()([n.words(), n.image(), n.image()])
        return n.model(n.layers.LSTM(4)(joined))

    def dense(n: Notebook, count: int, **options: Any) -> Any:
        last = n.layers.LSTM(4)(n.joined())
        for _ in range(count):
            last = n.layers.Dense(4, **options)(last)
        return n.model(last)

    def behind(n: Notebook, layer: Any) -> Any:
        return n.model(n.layers.LSTM(4)(layer(n.joined())))

    return {
        "GRU": (lambda n: n.model(n.layers.GRU(4)(n.joined())), "is a GRU (reset_after=True)"),
        "SimpleRNN": (lambda n: n.model(n.layers.SimpleRNN(4)(n.joined())), "(SimpleRNN)"),
        "cell": (
            lambda n: n.model(n.layers.RNN(n.layers.LSTMCell(4))(n.joined())), "(RNN)",
        ),
        "backwards": (lambda n: lstm(n, go_backwards=True), "(go_backwards)"),
        "activation": (lambda n: lstm(n, activation="relu"), "activation='relu', not 'tanh'"),
        "gate": (lambda n: lstm(n, recurrent_activation="tanh"), "recurrent_activation='tanh'"),
        "other gates": (
            lambda n: lstm(n, recurrent_activation="hard_sigmoid"),
            "hard_sigmoid gates and the first LSTM sigmoid ones",
        ),
        "sum of directions": (lambda n: both(n, merge_mode="sum"), "merge_mode='sum'"),
        "GRU both ways": (lambda n: both(n, layer=n.layers.GRU(4)), "a GRU in both directions"),
        "unlike directions": (mixed, "another number of directions"),
        "whole sequence": (lambda n: lstm(n, return_sequences=True), "an output for each place"),
        "first state": (started, "initial_state by another layer"),
        "read state": (stateful_place, "its state read by another layer"),
        "inject": (inject, "has no LSTM behind it before the image joins"),
        "in time": (in_time, "one after the other (axis=1)"),
        "no LSTM of words": (wordless, "has no LSTM behind it before the image joins"),
        "shared": (shared, "called 2 times"),
        "outputs": (outputs, "has 2 outputs"),
        "three": (three, "joins 3 layers"),
        "two Dense": (lambda n: dense(n, 2), "one Dense too many between the image"),
        "softplus": (lambda n: dense(n, 1, activation="softplus"), "activation 'softplus'"),
        "sigmoid": (
            lambda n: n.model(n.layers.LSTM(4)(n.joined()), activation="sigmoid"),
            "ends in sigmoid",
        ),
        "LeakyReLU": (lambda n: behind(n, n.layers.LeakyReLU()), "(LeakyReLU)"),
        "activation of the sum": (
            lambda n: behind(n, n.layers.Activation("tanh")), "one activation tanh too many",
        ),
        "Masking": (lambda n: behind(n, n.layers.Masking()), "(Masking)"),
        "normalised places": (
            lambda n: behind(n, n.layers.BatchNormalization(axis=1)), "normalises axis 1 of 3",
        ),
        "normalised sum": (
            lambda n: behind(n, n.layers.BatchNormalization()), "one Scale too many",
        ),
        "convolution": (lambda n: behind(n, n.layers.Conv1D(4, 1)), "(Conv1D)"),
        "product": (
            lambda n: n.model(n.layers.LSTM(4)(n.layers.Multiply()([n.words(), n.image()]))),
            "joins 2 layers where an Add or Concatenate",
        ),
        "no join": (
            lambda n: n.library.Model(n.features, n.layers.Dense(WORDS)(n.features)),
            "is an input, with no Add or Concatenate",
        ),
        "images only": (
            lambda n: n.library.Model(
                n.features, n.layers.Dense(WORDS)(n.layers.Add()([n.features, n.features]))
            ),
            "an Embedding on neither of its sides",
        ),
        "vector and sequence": (
            lambda n: n.model(
                n.layers.Concatenate()(
                    [n.words(return_sequences=False), n.layers.Dense(4)(n.features)]
                ),
                activation="relu",
            ),
            "ends in relu",
        ),
    }  # fmt: skip


REFUSED = build_refused()


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_known_is_refused_by_name(case: str) -> None:
    make, sentence = REFUSED[case]
    model = make(Notebook())
    with pytest.raises(OptionError) as caught:
        understood(model)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refusals_say_what_is_supported() -> None:
    make, _ = REFUSED["GRU"]
    with pytest.raises(OptionError, match=r"understood up to the layer 'gru.*docs/importing.md"):
        understood(make(Notebook()))


@pytest.mark.parametrize("option", ["time_major", "stateful", "zero_output_for_mask"])
def test_options_that_a_small_graph_cannot_have(option: str) -> None:
    n = Notebook(tf_keras)
    model = n.model(n.layers.LSTM(4)(n.joined()))
    record = record_of(model)
    for layer in record["config"]["layers"]:
        if layer["class_name"] == "LSTM":
            layer["config"][option] = True
    with pytest.raises(OptionError, match=option):
        recognise(read_graph(record, living_weights(model), Origin("test", "", 2)))


def test_what_makes_no_difference_is_passed_over() -> None:
    """Options of training and of speed, and layers that do nothing when captioning."""
    for library in (keras, tf_keras):
        n = Notebook(library)
        layers = n.layers
        words = layers.GaussianNoise(0.1)(
            n.words(unroll=True, dropout=0.3, recurrent_dropout=0.2, unit_forget_bias=False)
        )
        image = layers.Dropout(0.5)(layers.Activation("linear")(n.image()))
        joined = layers.SpatialDropout1D(0.2)(layers.Add()([words, image]))
        output, _, _ = layers.LSTM(4, return_state=True)(joined)
        said = layers.Dense(WORDS)(layers.Dropout(0.2)(output))
        model = library.Model([n.features, n.ids], layers.Activation("softmax")(said))
        filling = understood(model)
        assert filling.options.hidden == 0
        assert filling.options.merged_units == (4,)
        assert filling.features == FEATURES


def test_one_sided_repeats_are_refused() -> None:
    n = Notebook()
    features = n.library.Input((LENGTH, FEATURES))
    image = n.layers.Dense(4)(features)
    said = n.layers.LSTM(4)(n.layers.Add()([n.words(), image]))
    model = n.library.Model([features, n.ids], n.layers.Dense(WORDS)(said))
    with pytest.raises(OptionError, match="words as a sequence and the image as one vector"):
        understood(model)


def test_vocabularies_that_disagree() -> None:
    n = Notebook()
    last = n.layers.LSTM(4)(n.joined())
    model = n.library.Model([n.features, n.ids], n.layers.Dense(WORDS + 1)(last))
    with pytest.raises(OptionError, match=r"says 21 words and the Embedding .* reads 20"):
        understood(model)


def test_features_without_a_projection() -> None:
    n = Notebook()
    image = n.layers.RepeatVector(LENGTH)(n.layers.BatchNormalization()(n.features))
    joined = n.layers.Concatenate()([image, n.words()])
    filling = understood(n.model(n.layers.LSTM(4)(joined)))
    assert filling.features == FEATURES
    assert filling.options.feature_norm
    assert filling.options.image_projection == 0
    assert filling.parts.image_first


@pytest.mark.parametrize("explicit", [False, True])
def test_a_mask_that_is_passed_by_hand_counts(explicit: bool) -> None:
    """In Keras 3 one can pass the mask on to the LSTMs behind the image."""
    n = Notebook()
    mask = keras.ops.not_equal(n.ids, 0) if explicit else None
    last = n.layers.LSTM(4)(n.joined(), mask=mask)
    assert understood(n.model(last)).options.mask == ("keras2" if explicit else "keras3")


def test_masks_that_are_others_are_refused() -> None:
    for mask in (
        lambda ids: keras.ops.not_equal(ids, 1),
        lambda ids: keras.ops.greater(ids, 0),
        lambda ids: keras.ops.not_equal(keras.ops.not_equal(ids, 0), 0),
    ):
        n = Notebook()
        model = n.model(n.layers.LSTM(4)(n.joined(), mask=mask(n.ids)))
        with pytest.raises(OptionError, match="mask"):
            understood(model)
    n = Notebook()
    between = n.layers.LSTM(4, return_sequences=True)(n.joined())
    model = n.model(n.layers.LSTM(4)(between, mask=keras.ops.not_equal(n.ids, 0)))
    with pytest.raises(OptionError, match="masked otherwise than the LSTM before it"):
        understood(model)


def test_normalisations_are_folded_exactly() -> None:
    n = Notebook()
    layers = n.layers
    image = layers.BatchNormalization(scale=False)(layers.Dense(4)(n.features))
    image = layers.Activation("relu")(image)
    words = n.words(return_sequences=False)
    joined = layers.BatchNormalization(center=False)(layers.Add()([words, image]))
    model = n.model(layers.Dense(6, "tanh", use_bias=False)(joined))
    dice = np.random.default_rng(1)
    model.set_weights([dice.uniform(0.1, 1, array.shape) for array in model.get_weights()])
    parts = understood(model).parts
    assert parts.image_projection is not None
    assert parts.hidden is not None
    batch = dice.normal(size=(7, FEATURES)).astype(np.float32)
    wanted = keras.Model(n.features, image).predict(batch, verbose=0)
    ours = np.maximum(batch @ parts.image_projection.kernel + parts.image_projection.bias, 0)
    np.testing.assert_allclose(ours, wanted, atol=1e-5)
    hidden = np.tanh(wanted @ parts.hidden.kernel + parts.hidden.bias)
    tail = keras.Input((4,))
    normalise, dense = model.layers[-3], model.layers[-2]
    np.testing.assert_allclose(
        hidden, keras.Model(tail, dense(normalise(tail))).predict(wanted, verbose=0), atol=1e-5
    )
