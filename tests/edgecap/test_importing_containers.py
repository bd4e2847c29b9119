"""Every way in which Keras keeps a model gives the same graph and the same weights."""

from __future__ import annotations

import builtins
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from edgecap.importing.containers import find_container
from edgecap.importing.containers.hdf5 import read_weights
from edgecap.importing.decoder import settle
from edgecap.importing.graph import Graph as ReadGraph
from edgecap.importing.recognise import recognise
from edgecap.importing.recurrent import from_cudnn
from edgecap.importing.safety import refuse_code
from edgecap_runtime.errors import EdgecapError, MissingExtraError, OptionError

from . import notebooks
from .notebooks import Graph


def read(path: Path, architecture: Path | None = None) -> ReadGraph:
    return find_container(path).read(path, architecture)


def summary(graph: ReadGraph) -> Any:
    """All that a decoder is made of."""
    filling = settle(recognise(graph))
    parts = filling.parts
    steps = [parts.embedding.table, *(array for step in parts.words for array in step.weights)]
    steps += [array for step in parts.merged for array in step.weights]
    for dense in (parts.word_projection, parts.image_projection, parts.hidden, parts.output):
        steps += [dense.kernel, dense.bias] if dense else []
    return filling.family, filling.options, steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("containers")


@pytest.fixture(scope="module")
def keras2(folder: Path) -> Any:
    """A model of Keras 2, saved in every way."""
    model = notebooks.build(tf_keras, Graph(both=True, merged=1, join="concatenate-image-first"))
    model.save(folder / "whole2.h5")
    model.save(folder / "whole2.keras")
    model.save(folder / "saved2")
    model.save_weights(folder / "only2.h5")
    model.save_weights(folder / "only2.weights.h5")
    (folder / "graph2.json").write_text(model.to_json())
    (folder / "text2.json").write_text(json.dumps(model.to_json()))
    return model


@pytest.fixture(scope="module")
def keras3(folder: Path) -> Any:
    """A model of Keras 3, saved in every way."""
    model = notebooks.build(keras, Graph(both=True, join="concatenate-image-first"))
    model.save(folder / "whole3.h5")
    model.save(folder / "whole3.keras")
    model.save_weights(folder / "only3.weights.h5")
    (folder / "graph3.json").write_text(model.to_json())
    shutil.copy(folder / "whole3.keras", folder / "renamed")
    return model


WAYS2 = {
    "whole2.h5": (None, "hdf5"),
    "whole2.keras": (None, "keras"),
    "saved2": (None, "saved-model"),
    "only2.h5": ("graph2.json", "weights"),
    "only2.weights.h5": ("text2.json", "weights"),
}
WAYS3 = {
    "whole3.h5": (None, "hdf5"),
    "whole3.keras": (None, "keras"),
    "renamed": (None, "keras"),
    "only3.weights.h5": ("graph3.json", "weights"),
}


@pytest.mark.parametrize("name", [*WAYS2, *WAYS3])
def test_every_container_gives_the_same(name: str, request: Any, folder: Path) -> None:
    major = 2 if name in WAYS2 else 3
    model = request.getfixturevalue(f"keras{major}")
    architecture, container = (WAYS2 | WAYS3)[name]
    graph = read(folder / name, folder / architecture if architecture else None)
    assert graph.origin.keras == major
    assert graph.origin.container == container
    family, options, arrays = summary(graph)
    assert family == "merge-bilstm"
    assert options.mask == f"keras{major}"
    assert options.length == notebooks.LENGTH
    assert options.merge == "concatenate"
    saved = {array.tobytes() for array in model.get_weights()}
    assert {array.tobytes() for array in arrays} == saved


def test_nested_models_are_unfolded(folder: Path) -> None:
    """Keras writes trainable arrays first, those of frozen layers and statistics behind them."""
    layers = tf_keras.layers
    seen = tf_keras.Sequential(
        [
            layers.BatchNormalization(input_shape=(notebooks.FEATURES,)),
            layers.Dense(12, activation="relu"),
            layers.RepeatVector(notebooks.LENGTH),
        ]
    )
    ids = tf_keras.Input((notebooks.LENGTH,))
    word = layers.Embedding(notebooks.WORDS, 12, trainable=False)(ids)
    read_words = tf_keras.Model(ids, layers.LSTM(12, return_sequences=True)(word))
    features, words = tf_keras.Input((notebooks.FEATURES,)), tf_keras.Input((notebooks.LENGTH,))
    joined = layers.add([seen(features), read_words(words)])
    said = layers.Dense(notebooks.WORDS, activation="softmax")(layers.LSTM(8)(joined))
    model = notebooks.randomise(tf_keras.Model([features, words], said))
    model.save(folder / "nested.h5")
    parts = recognise(read(folder / "nested.h5"))
    assert parts.image_first
    table = read_words.layers[1].get_weights()[0]
    np.testing.assert_array_equal(parts.embedding.table, table)
    batch = np.maximum(notebooks.images(4), 0)
    assert parts.image_projection is not None
    ours = np.maximum(batch @ parts.image_projection.kernel + parts.image_projection.bias, 0)
    np.testing.assert_allclose(ours, seen.predict(batch, verbose=0)[:, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("library", "name"), [(tf_keras, "code2.h5"), (tf_keras, "code2"), (keras, "code3.keras")]
)
def test_a_lambda_is_refused_before_anything_is_run(
    library: Any, name: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = library.Input((3,))
    model = library.Model(
        inputs, library.layers.Lambda(lambda x: [print("executed"), x][1], name="code")(inputs)
    )
    model.save(folder / name)
    capfd.readouterr()
    with pytest.raises(OptionError, match=r"'code' of .* is a Lambda"):
        read(folder / name)
    assert "executed" not in capfd.readouterr().out


def test_code_is_found_however_deep() -> None:
    layer = {"class_name": "Lambda", "config": {"name": "deep"}}
    with pytest.raises(OptionError, match="'deep'"):
        refuse_code([{"config": {"layers": [{"config": {"layer": layer}}]}}], "x")


def test_objects_of_foreign_modules_are_refused(keras3: Any, folder: Path) -> None:
    with zipfile.ZipFile(folder / "whole3.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    evil = b'{"module": "os", "class_name": "system", "config": "echo executed"}'
    parts["config.json"] = parts["config.json"].replace(
        b'"activation": "relu"', b'"activation": ' + evil
    )
    with zipfile.ZipFile(folder / "foreign.keras", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(OptionError, match=r"'system' in .* is of the module 'os'"):
        read(folder / "foreign.keras")


def test_layers_of_ones_own_are_refused(folder: Path) -> None:
    class Own(keras.layers.Dense):
        pass

    inputs = keras.Input((3,))
    keras.Model(inputs, Own(2)(inputs)).save(folder / "own.keras")
    with pytest.raises(OptionError, match=r"'Own' in .* is of the module"):
        read(folder / "own.keras")
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(folder / "own.keras")
    with zipfile.ZipFile(folder / "own.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = parts["config.json"].replace(b'"Dense"', b'"Denser"')
    with zipfile.ZipFile(folder / "unknown.keras", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(OptionError, match=r"can't load .* save the model again, from Keras' own"):
        read(folder / "unknown.keras")


def test_weights_alone_ask_for_the_graph(keras2: Any, keras3: Any, folder: Path) -> None:
    for name in ("only2.h5", "only3.weights.h5"):
        with pytest.raises(OptionError, match="holds weights alone; give the graph too"):
            read(folder / name)
    with pytest.raises(OptionError, match="leave --architecture"):
        read(folder / "whole2.h5", folder / "graph2.json")


def test_weights_of_another_graph_are_refused(keras2: Any, folder: Path) -> None:
    model = notebooks.build(tf_keras, Graph(merged=0))
    (folder / "other.json").write_text(model.to_json())
    with pytest.raises(OptionError, match=r"has 6 layers with weights and .* has 7"):
        read(folder / "only2.h5", folder / "other.json")
    model = notebooks.build(tf_keras, Graph(merged=1))
    (folder / "other.json").write_text(model.to_json())
    with pytest.raises(OptionError, match=r"\(LSTM\) has 3 arrays by .* and \d in the weights"):
        read(folder / "only2.h5", folder / "other.json")


def without(folder: Path, name: str, change: Callable[[Any], None]) -> Path:
    path = folder / "changed.h5"
    shutil.copy(folder / name, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_versions(keras2: Any, folder: Path) -> None:
    def version(text: str) -> Callable[[Any], None]:
        return lambda file: file.attrs.__setitem__("keras_version", text)

    path = without(folder, "whole2.h5", version("2.2.4-tf"))
    assert read(path).origin.keras_version == "2.2.4-tf"
    path = without(folder, "whole2.h5", version("1.2.2"))
    with pytest.raises(OptionError, match=r"saved by Keras 1\.2\.2"):
        read(path)
    # Without a record, the way in which the graph is written tells.
    path = without(folder, "whole2.h5", lambda file: file.attrs.__delitem__("keras_version"))
    assert read(path).origin.keras == 2


def forget_an_array(file: Any) -> None:
    group = file["model_weights"]
    name = next(name for name in group if name.startswith("embedding"))
    del group[name][name]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (forget_an_array, "is damaged"),
        (lambda file: file.__delitem__("model_weights"), "is damaged"),
        (lambda file: file.attrs.__setitem__("model_config", "{"), "is damaged"),
        (
            lambda file: file.attrs.__setitem__("model_config", '{"class_name": "Captioner"}'),
            "'Captioner', whose graph is not recorded",
        ),
        (
            lambda file: file.attrs.__setitem__(
                "model_config", str(file.attrs["model_config"]).replace("output_layers", "outputs")
            ),
            "is damaged",
        ),
    ],
)
def test_damaged_files_are_named(
    keras2: Any, folder: Path, change: Callable[[Any], None], sentence: str
) -> None:
    with pytest.raises(OptionError) as caught:
        read(without(folder, "whole2.h5", change))
    assert sentence in str(caught.value)


def test_what_is_no_model(tmp_path: Path, folder: Path, keras3: Any) -> None:
    (tmp_path / "notes.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["numbers"] = [1]
    with zipfile.ZipFile(tmp_path / "photos.keras", "w") as archive:
        archive.writestr("photo.jpg", b"")
    (tmp_path / "folder").mkdir()
    for name in ("notes.h5", "data.h5", "photos.keras", "folder"):
        with pytest.raises(OptionError, match="no model that edgecap reads"):
            find_container(tmp_path / name)
    with pytest.raises(OptionError, match="there is no model at"):
        find_container(tmp_path / "none.h5")
    with zipfile.ZipFile(tmp_path / "half.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(OptionError, match="is damaged"):
        read(tmp_path / "half.keras")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(OptionError, match="functions for serving"):
        read(tmp_path / "served")
    (tmp_path / "served" / "keras_metadata.pb").write_bytes(b"no protobuf")
    with pytest.raises(OptionError, match="is damaged"):
        read(tmp_path / "served")


def test_architectures_that_are_none(keras2: Any, folder: Path, tmp_path: Path) -> None:
    for text in ("{", "[]", "{}", "3"):
        (tmp_path / "graph.json").write_text(text)
        with pytest.raises(OptionError, match=r"is no architecture|whose graph is not recorded"):
            read(folder / "only2.h5", tmp_path / "graph.json")
    with pytest.raises(OptionError, match="is no architecture"):
        read(folder / "only2.h5", tmp_path / "none.json")


def test_keras_2_is_an_extra(keras2: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("tf_keras"):
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.delitem(sys.modules, "tf_keras")
    for name in ("saved2", "whole2.keras"):
        with pytest.raises(MissingExtraError, match=r"pip install 'edgecap\[import\]'"):
            read(folder / name)
    assert read(folder / "whole2.h5").origin.keras == 2


def test_cudnn_weights_are_rewritten_as_keras_2_does() -> None:
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    dice = np.random.default_rng(0)
    cudnn = [dice.normal(size=shape).astype(np.float32) for shape in ((5, 12), (3, 12), (24,))]
    layer = tf_keras.layers.LSTM(3)
    layer.build((None, None, 5))
    wanted = preprocess_weights_for_loading(layer, cudnn)
    for ours, theirs in zip(from_cudnn(cudnn), wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_cudnn_layer_is_read(folder: Path) -> None:
    """tf_keras can build a CuDNNLSTM without a GPU, though not run it."""
    layers = tf_keras.layers
    cudnn = tf_keras.src.layers.CuDNNLSTM
    features, ids = tf_keras.Input((notebooks.FEATURES,)), tf_keras.Input((notebooks.LENGTH,))
    word = cudnn(8)(layers.Embedding(notebooks.WORDS, 12)(ids))
    joined = layers.add([word, layers.Dense(8)(features)])
    said = layers.Dense(notebooks.WORDS, activation="softmax")(joined)
    model = notebooks.randomise(tf_keras.Model([features, ids], said))
    model.save(folder / "cudnn.h5")
    parts = recognise(read(folder / "cudnn.h5"))
    assert parts.words[0].gate == "sigmoid"
    assert [array.shape for array in parts.words[0].weights] == [(12, 32), (8, 32), (32,)]
    with h5py.File(folder / "cudnn.h5", "r+") as file:
        text = str(file.attrs["model_config"]).replace('"mask_zero": false', '"mask_zero": true')
        file.attrs["model_config"] = text
    with pytest.raises(OptionError, match="can't be masked, while the Embedding masks id 0"):
        recognise(read(folder / "cudnn.h5"))


def test_weights_are_read_in_order(keras2: Any, folder: Path) -> None:
    file = read_weights(folder / "only2.h5")
    assert file.keras_version == tf_keras.__version__
    assert file.backend == "tensorflow"
    assert len(file.layers) == 7
    assert issubclass(MissingExtraError, EdgecapError)
