"""`edgecap import`, from a notebook's files to a file for a device; and what it refuses."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from click.testing import CliRunner, Result

from edgecap.captioner import TrainedCaptioner
from edgecap.cli import main
from edgecap.importing import import_captioner
from edgecap_runtime import Captioner
from edgecap_runtime.errors import OptionError

from . import notebooks
from .notebooks import LENGTH, VOCABULARY, WORDS, Graph

SIZE = 32


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def pictures(count: int) -> np.ndarray:
    dice = np.random.default_rng(4)
    coarse = dice.integers(0, 256, (count, 4, 4, 3))
    return coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)


def network(library: Any, **options: Any) -> Any:
    """A MobileNet of one size whose features tell pictures apart."""
    library.utils.set_random_seed(1)
    made = library.applications.MobileNet(
        weights=None, input_shape=(SIZE, SIZE, 3), alpha=0.25,
        **{"include_top": False, "pooling": "avg", **options},
    )  # fmt: skip
    dice = np.random.default_rng(3)
    for layer in made.layers:
        if isinstance(layer, library.layers.BatchNormalization):
            layer.gamma.assign(dice.uniform(0.5, 1.5, layer.gamma.shape))
            layer.beta.assign(dice.normal(0.3, 0.3, layer.beta.shape))
            layer.momentum = 0.0
    made(pictures(100) / np.float32(127.5) - 1, training=True)
    return made


def from_pixels(library: Any, flat: bool = False, scale: float | None = None) -> Any:
    """One graph from pixels to the next word."""
    layers = library.layers
    encoder = network(library)
    decoder = notebooks.build(library, Graph())
    # A network of random weights and a decoder of such amplify the rounding of float32: log
    # probabilities differ from float64's by up to 8e-4, from another library's by 1.5e-3, where
    # export lets 1e-3 through. At a quarter of the logits the same words win.
    decoder.layers[-1].set_weights([weight / 4 for weight in decoder.layers[-1].get_weights()])
    ids = library.Input((LENGTH,))
    if flat:
        pixels, features = encoder.input, encoder.output
    else:
        pixels = library.Input((SIZE, SIZE, 3))
        # Notebooks call preprocess_input on the tensor, which is plain arithmetic.
        scaled = pixels / 127.5 - 1.0 if scale is None else layers.Rescaling(scale, -1)(pixels)
        features = encoder(scaled)
    return library.Model([pixels, ids], decoder([features, ids]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebook")
    words = {word: number for number, word in enumerate(VOCABULARY)}
    (folder / "words.pkl").write_bytes(pickle.dumps(words))
    network(keras).save_weights(folder / "encoder.weights.h5")
    return folder


@pytest.fixture(scope="module")
def decoder(folder: Path) -> Any:
    """The notebook's decoder, saved alone: on precomputed features."""
    model = notebooks.build(tf_keras, Graph())
    model.save(folder / "decoder.h5")
    model.save_weights(folder / "only.h5")
    (folder / "decoder.json").write_text(model.to_json())
    return model


def command(folder: Path, model: str, *more: object) -> tuple[object, ...]:
    return (
        "import", folder / model, "--vocabulary", folder / "words.pkl", "--encoder", "mobilenet",
        "--set", "encoder.width=0.25", *more,
    )  # fmt: skip


def on_features(folder: Path, model: str, *more: object) -> tuple[object, ...]:
    return command(
        folder, model, "--size", SIZE, "--encoder-weights", folder / "encoder.weights.h5", *more
    )


def test_from_a_graph_of_pixels_to_a_file(folder: Path, tmp_path: Path) -> None:
    model = from_pixels(tf_keras)
    model.save(folder / "pixels.h5")
    done = run(*command(folder, "pixels.h5", "-o", tmp_path / "run", "--json"))
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["encoder"]["size"] == SIZE
    assert answer["scaling"] == "as in the graph"
    assert answer["mask"] == "keras2"
    assert answer["kind"] == "step"
    assert answer["layers"][0]["taken_for"] == "encoder, from here on"
    done = run("export", tmp_path / "run", "-o", tmp_path / "a.tflite", "--json")
    assert done.exit_code == 0, done.output

    photos = pictures(50)
    captions = notebooks.greedy(notebooks.oracle(model), photos.astype(np.float32))
    assert len(set(map(tuple, captions))) > 5
    with Captioner.load(tmp_path / "a.tflite") as captioner:
        said = captioner.caption_batch(list(photos), beam=1)
        words = captioner.manifest.vocabulary
        assert [caption.words for caption in said] == [words.words_of(ids) for ids in captions]
        assert captioner.manifest.source["import"]["file"] == "pixels.h5"
        assert captioner.manifest.preparation.resampling == "nearest"


@pytest.mark.parametrize("library", [tf_keras, keras])
def test_an_encoder_that_lies_flat_in_the_graph(library: Any, folder: Path, tmp_path: Path) -> None:
    """Its layers among the decoder's, the pixels scaled by the notebook."""
    model = from_pixels(library, flat=True)
    path = tmp_path / ("flat.h5" if library is tf_keras else "flat.keras")
    model.save(path)
    imported = import_captioner(path, folder / "words.pkl", notebooks.options())
    assert imported.facts["scaling"] == "mobilenet's convention"
    photos = pictures(5).astype(np.float32)
    pool = next(layer for layer in model.layers if "pool" in layer.name)
    features = library.Model(model.inputs[0], pool.output).predict(photos / 127.5 - 1, verbose=0)
    ours = imported.captioner.encoder.predict(photos, verbose=0)
    assert np.std(features, axis=0).mean() > 0.05
    np.testing.assert_allclose(ours, features.reshape(ours.shape), atol=1e-4)


def test_an_encoder_that_was_saved_by_itself(decoder: Any, folder: Path, tmp_path: Path) -> None:
    """With its classifier; the features are taken before it."""
    whole = network(tf_keras, include_top=True, pooling=None, classes=7)
    whole.save(tmp_path / "mobilenet.h5")
    imported = import_captioner(
        folder / "decoder.h5", folder / "words.pkl", notebooks.options(tmp_path / "mobilenet.h5")
    )
    pool = next(layer for layer in whole.layers if "pool" in layer.name)
    photos = pictures(5).astype(np.float32)
    wanted = tf_keras.Model(whole.input, pool.output).predict(photos / 127.5 - 1, verbose=0)
    ours = imported.captioner.encoder.predict(photos, verbose=0)
    np.testing.assert_allclose(ours, wanted.reshape(ours.shape), atol=1e-4)
    assert imported.facts["encoder_weights"] == "mobilenet.h5"


def test_an_encoder_with_branches(folder: Path, tmp_path: Path) -> None:
    """InceptionV3 of Keras 2: its 188 layers with weights find their places in Keras 3's."""
    tf_keras.utils.set_random_seed(2)
    inception = tf_keras.applications.InceptionV3(
        weights=None, include_top=False, pooling="avg", input_shape=(75, 75, 3)
    )
    photos = pictures(6).repeat(3, axis=1).repeat(3, axis=2)[:, :75, :75].astype(np.float32)
    for layer in inception.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.momentum = 0.0
    inception(photos / 127.5 - 1, training=True)
    inception.save(tmp_path / "inception.h5")
    ids = tf_keras.Input((LENGTH,))
    word = tf_keras.layers.LSTM(4)(tf_keras.layers.Embedding(WORDS, 4, mask_zero=True)(ids))
    features = tf_keras.Input((2048,))
    joined = tf_keras.layers.concatenate([features, word])
    said = tf_keras.layers.Dense(WORDS, activation="softmax")(joined)
    tf_keras.Model([features, ids], said).save(tmp_path / "decoder.h5")
    options = notebooks.ImportOptions(
        encoder="inception_v3", size=75, encoder_weights=tmp_path / "inception.h5"
    )
    imported = import_captioner(tmp_path / "decoder.h5", folder / "words.pkl", options)
    wanted = inception(photos / 127.5 - 1).numpy()
    assert np.std(wanted, axis=0).mean() > 0.05
    ours = imported.captioner.encoder.predict(photos, verbose=0)
    np.testing.assert_allclose(ours, wanted, atol=1e-3 * wanted.max())


def test_the_table_and_the_lines(
    decoder: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    done = run(
        *on_features(folder, "decoder.h5", "-o", tmp_path / "run", "--mask", "none",
                     "--never-say", "zero", "--name", "old")
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for text in (
        "taken for", "reads the words", "8 units, sigmoid gates, reads padding",
        "mask: none (every LSTM reads padding, chosen by --mask)",
        "start with 'startseq' and end with 'endseq'", "32 x 32, stretch, nearest",
        "at most 9 words", "from decoder.h5 (hdf5, Keras 2.",
    ):  # fmt: skip
        assert text in done.stdout
    assert "note: with mask 'none'" in done.stderr
    run_ = TrainedCaptioner.load(tmp_path / "run")
    assert run_.design.name == "old"
    assert run_.design.vocabulary.never_said == (0,)
    assert run_.design.provenance["command"].startswith("edgecap")


@pytest.mark.parametrize("way", ["json", "name"])
def test_weights_alone(way: str, decoder: Any, folder: Path) -> None:
    choices: dict[str, Any] = {"architecture": folder / "decoder.json"}
    if way == "name":
        choices = {
            "architecture": "merge-lstm",
            "mask": "keras2",
            "settings": (
                "decoder.embedding=12", "decoder.word_units=8", "decoder.merged_units=8,8",
                "decoder.word_projection=12", "decoder.image_projection=12", "decoder.hidden=12",
            ),
        }  # fmt: skip
    imported = import_captioner(
        folder / "only.h5",
        folder / "words.pkl",
        notebooks.options(folder / "encoder.weights.h5", **choices),
    )
    rows = notebooks.prefixes()
    features = notebooks.images(len(rows))
    notebooks.assert_same(
        notebooks.after(imported.captioner.decoder, features, rows),
        notebooks.oracle(decoder)(features, rows),
    )
    assert {"word vectors"} < {row.taken_for for row in imported.layers}


NAMED = ("--architecture", "merge-lstm", "--mask", "keras2")
SIZES = (
    "--set", "decoder.embedding=12", "--set", "decoder.word_units=8",
    "--set", "decoder.word_projection=12", "--set", "decoder.image_projection=12",
)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "more", "sentence"),
    [
        ("none.h5", (), "there is no model at"),
        ("only.h5", (), "holds weights alone; give the graph too"),
        ("only.h5", ("--architecture", "lstm"), "--architecture 'lstm' can't be imported"),
        ("only.h5", NAMED[:2], "don't say how padding was masked; give --mask"),
        ("decoder.h5", NAMED, "is for weights in HDF5 alone"),
        ("only.h5", (*NAMED, *SIZES), "has the shapes of the decoder's"),
        (
            "only.h5",
            (*NAMED, *SIZES, "--set", "decoder.hidden=12", "--set", "decoder.merged_units=8"),
            "1 layers of",
        ),
        ("only.h5", (*NAMED, "--set", "decoder.length=9"), "is given by --longest"),
        ("only.h5", (*NAMED, "--set", "decoder.sizes=9"), "decoder has no option 'sizes'"),
        ("decoder.h5", ("--set", "decoder.units=9"), "names no part; parts are: encoder"),
        ("decoder.h5", ("--set", "encoder.width=0.5"), "reads 256 image features and mobilenet"),
        ("decoder.h5", ("--encoder", "inception_v4"), "unknown encoder 'inception_v4'"),
        ("decoder.h5", ("--start", "begin"), "--start 'begin' is not among"),
        ("decoder.h5", ("--start", "zero", "--end", "endseq"), "has the id 0, which the model"),
        ("decoder.h5", ("--longest", "12"), "prefixes of 10 words and --longest is 12"),
        ("decoder.h5", ("--longest", "1"), "--longest is 1"),
        ("decoder.h5", ("--padding-id", "3"), "the padding id is 3 and the model masks id 0"),
        ("decoder.h5", ("--mask", "none", "--padding-id", "99"), "the padding id is 99"),
        ("decoder.h5", ("--resampling", "best"), "resampling is 'best'"),
        ("decoder.h5", ("--fit", "tight"), "fit is 'tight'"),
        ("decoder.h5", ("--vocabulary", "SHORT"), "has 59 words and the model's softmax says 60"),
        ("decoder.h5", ("--vocabulary", "ENDLESS"), "no end word (only startseq"),
        ("decoder.h5", ("--encoder-weights", "none.h5"), "no encoder weights at"),
        ("decoder.h5", ("--encoder-weights", "DECODER"), "has no global average pooling"),
        ("gru.h5", (), "is a GRU"),
        ("endless.h5", ("--mask", "none"), "give the length that pad_sequences got"),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(
    model: str, more: tuple[str, ...], sentence: str, decoder: Any, folder: Path, tmp_path: Path
) -> None:
    words = {"SHORT": VOCABULARY[:-1], "ENDLESS": [w.replace("endseq", "x") for w in VOCABULARY]}
    for name, content in words.items():
        (folder / name).write_text("\n".join(content) + "\n")
    if model == "gru.h5":
        gru(folder / model)
    if model == "endless.h5":
        notebooks.build(tf_keras, Graph(merged=0, length=None)).save(folder / model)
    known = {name: folder / name for name in words} | {"DECODER": folder / "decoder.h5"}
    choices = [known.get(word, word) for word in more]
    done = run(*on_features(folder, model, "-o", tmp_path / "run", *choices))
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.output
    assert not (tmp_path / "run").exists()


def gru(path: Path) -> None:
    layers = tf_keras.layers
    features, ids = tf_keras.Input((notebooks.FEATURES,)), tf_keras.Input((LENGTH,))
    word = layers.GRU(8)(layers.Embedding(WORDS, 8)(ids))
    said = layers.Dense(WORDS)(layers.add([word, layers.Dense(8)(features)]))
    tf_keras.Model([features, ids], said).save(path)


def test_a_run_is_not_overwritten(decoder: Any, folder: Path, tmp_path: Path) -> None:
    arguments = on_features(folder, "decoder.h5", "-o", tmp_path / "run")
    assert run(*arguments).exit_code == 0
    before = (tmp_path / "run" / "run.json").read_bytes()
    done = run(*arguments)
    assert done.exit_code == 2
    assert "holds a captioner already" in done.stderr
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_encoders_that_disagree(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    from_pixels(keras, scale=1 / 255).save(path)
    for choices, sentence in (
        ({}, r"scales pixels by x \* 0.00392157 \+ -1 and mobilenet by x \* 0.00784314 \+ -1"),
        ({"settings": ("encoder.width=0.5",)}, "reads 256 image features and mobilenet gives 512"),
        ({"size": 64}, "images of size 32 and --size is 64"),
        ({"encoder_weights": "imagenet"}, "begins with an encoder of its own"),
        (
            {"encoder": "mobilenet_v2", "settings": ("encoder.width=0.35",)},
            "reads 256 image features and mobilenet_v2 gives 1280",
        ),
    ):
        options = {"encoder": "mobilenet", "settings": ("encoder.width=0.25",)}
        with pytest.raises(OptionError, match=sentence):
            import_captioner(
                path, folder / "words.pkl", notebooks.ImportOptions(**{**options, **choices})
            )


@pytest.mark.parametrize(
    ("version", "gate"),
    [
        ("2.2.4", "keras2_hard_sigmoid"), ("2.1.6-tf", "keras2_hard_sigmoid"),
        ("2.3.0", "sigmoid"), ("2.15.0", "sigmoid"), ("2.2.4-tf", None), ("", None),
    ],
)  # fmt: skip
def test_the_gate_that_was_the_default(
    version: str, gate: str | None, decoder: Any, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "only.h5"
    path.write_bytes((folder / "only.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = version
    settings = [word for word in SIZES if "=" in word]
    settings += ["decoder.hidden=12", "decoder.merged_units=8,8"]
    options = notebooks.options(
        folder / "encoder.weights.h5", architecture="merge-lstm", mask="keras2", settings=settings
    )
    if gate is None:
        with pytest.raises(OptionError, match="had one of two gates"):
            import_captioner(path, folder / "words.pkl", options)
        return
    made = import_captioner(path, folder / "words.pkl", options)
    assert made.captioner.decoder.options.recurrent_activation == gate


def test_help() -> None:
    done = run("import", "--help")
    assert done.exit_code == 0
    assert "--architecture" in done.output
    assert "import" in run("--help").output


@pytest.mark.parametrize(
    "change",
    [
        lambda network, layers: layers.MaxPooling2D(1)(network.get_layer("conv_pw_13_relu").output),
        lambda network, layers: network.get_layer("conv_pw_12_relu").output,
    ],
)
def test_an_encoder_that_is_nearly_ours(change: Any, folder: Path, tmp_path: Path) -> None:
    """The same width, and another graph: named with the layers where it differs."""
    layers = keras.layers
    encoder = network(keras)
    features = layers.GlobalAveragePooling2D()(change(encoder, layers))
    said = notebooks.build(keras, Graph())([features, ids := keras.Input((LENGTH,))])
    keras.Model([encoder.input, ids], said).save(tmp_path / "model.keras")
    options = notebooks.ImportOptions(encoder="mobilenet", settings=("encoder.width=0.25",))
    with pytest.raises(OptionError, match=r"is not mobilenet of this size and width: at its layer"):
        import_captioner(tmp_path / "model.keras", folder / "words.pkl", options)
