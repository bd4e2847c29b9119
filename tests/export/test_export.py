"""Whole exports: both formats by both recipes, and everything that stops one."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from edgecap_export import ExportError, Prover, Recipe, export, exporting, recipe_named
from edgecap_runtime import Captioner
from edgecap_runtime.bundle import read_manifest
from edgecap_runtime.errors import EdgecapError, ImageError, OptionError

from .conftest import COMBINATIONS, SIZE, UNITS, WORDS, photographs

pytestmark = pytest.mark.processor


@pytest.mark.parametrize(("suffix", "recipe"), COMBINATIONS)
def test_every_format_and_recipe_is_proven(exported, suffix, recipe):
    parity = exported[suffix, recipe].parity
    assert parity.failures == ()
    assert parity.verdict == "proven"
    assert parity.images == 100
    # Captions that depend on the image: a model that ignores it would prove nothing.
    assert parity.distinct > 5
    if recipe == "float32":
        assert (parity.token_exact_greedy, parity.token_exact_beam) == (1, 1)
        assert parity.largest < 1e-3
    else:
        assert 1e-3 < parity.p99 <= 0.1


@pytest.mark.parametrize(("suffix", "recipe"), COMBINATIONS)
def test_manifest_comes_back(exported, source, suffix, recipe):
    report = exported[suffix, recipe]
    manifest = read_manifest(report.path)
    assert manifest.vocabulary == source.vocabulary
    assert manifest.preparation == source.preparation
    assert manifest.defaults == source.defaults
    assert (manifest.name, manifest.encoder, manifest.decoder, manifest.recipe) == (
        "tiny",
        "mobilenet",
        "show-and-tell",
        recipe,
    )
    assert [(tensor.name, tensor.shape) for tensor in manifest.state] == [
        ("h", (UNITS,)),
        ("c", (UNITS,)),
    ]
    assert manifest.source["weights_sha256"] == "0" * 64
    assert "tensorflow" in manifest.source["tools"]
    assert manifest.parity == json.loads(json.dumps(report.parity.to_dict()))


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_runtime_says_the_reference_captions(exported, prover, suffix):
    with Captioner.load(exported[suffix, "float32"].path, threads=1) as captioner:
        for place, photo in enumerate(photographs(10)):
            assert captioner.caption(photo, beam=1).ids == prover.reference.greedy[place]
            assert captioner.caption(photo).ids == prover.reference.beam[place]


def test_zip_lists_the_manifest(exported):
    with zipfile.ZipFile(exported[".tflite", "float32"].path) as archive:
        assert {"edgecap.json", "vocabulary.txt", "parity.json"} <= set(archive.namelist())


@pytest.mark.parametrize(("suffix", "recipe"), COMBINATIONS)
def test_report_is_json_and_names_types_by_part(exported, suffix, recipe):
    report = exported[suffix, recipe]
    assert report.size == report.path.stat().st_size
    shares = json.loads(json.dumps(report.to_dict()))["inspection"]["weight_shares"]
    assert shares["encoder"] == {"float32": 1.0}
    small = "float32" if recipe == "float32" else ("int8" if suffix == ".tflite" else "uint8")
    # Scales and zero points weigh something where rows have 24 weights.
    assert shares["output"][small] > 0.7
    assert shares["step"][small] > 0.6
    assert shares["embedding"]["float32" if recipe == "float32" else "int8"] >= 0.8


def test_progress_is_told_and_counts_up(source, few, tmp_path):
    told = []
    export(
        source,
        tmp_path / "a.tflite",
        recipe="dynamic-int8",
        prover=few,
        gate=False,
        progress=lambda *said: told.append(said),
    )
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == ["convert", "quantize", "compare"]
    for stage in stages:
        done = [(done, total) for said, done, total in told if said == stage]
        assert done == sorted(done)
        assert done[0][0] == 0
        assert done[-1][0] == done[-1][1]


def test_without_images_generated_pictures_stand_in(source, tmp_path):
    told = []
    report = export(
        source, tmp_path / "a.onnx", progress=lambda stage, done, total: told.append(stage)
    )
    assert report.parity.verdict == "checked on 8 generated pictures"
    assert report.parity.generated
    assert "reference" in told


def test_few_images_are_only_checked(source, few, tmp_path):
    report = export(source, tmp_path / "a.tflite", prover=few)
    assert report.parity.verdict == "checked on 12 images"


def test_recipe_of_ones_own_quantizes_the_parts_it_names(source, few, tmp_path):
    recipe = Recipe(
        name="output-only",
        description="only the output layer in int8",
        gate=replace(recipe_named("dynamic-int8").gate, identical=0.5),
        output="dynamic-int8",
    )
    for suffix in (".tflite", ".onnx"):
        report = export(source, tmp_path / f"a{suffix}", recipe=recipe, prover=few)
        types = report.inspection.matrix_types
        assert types["step"] == types["embedding"] == types["encoder"] == ("float32",)
        assert types["output"] in {("int8",), ("uint8",)}


def test_scorer_is_handed_both_captions_and_the_references(source, few, tmp_path):
    references = [[["w1", "w2"]] for _ in range(12)]
    calls = []

    def scorer(candidates, baseline, given):
        calls.append((candidates, baseline, given))
        return {"difference": 0.0, "low": -0.1, "high": 0.1}

    report = export(source, tmp_path / "a.tflite", prover=few, references=references, scorer=scorer)
    assert len(calls) == 2
    candidates, baseline, given = calls[0]
    assert (
        candidates
        == baseline
        == [list(source.vocabulary.words_of(ids)) for ids in few.reference.greedy]
    )
    assert given is references
    stored = read_manifest(report.path).parity["scores"]
    assert stored == {
        name: {"difference": 0, "low": -0.1, "high": 0.1} for name in ("greedy", "beam")
    }


def test_references_must_be_as_many_as_images(source, few, tmp_path):
    with pytest.raises(OptionError, match="references for 1 images but 12"):
        export(source, tmp_path / "a.tflite", prover=few, references=[[["a"]]])


def test_prover_of_another_source_is_refused(limited, few, tmp_path):
    with pytest.raises(OptionError, match="prover was made for one source"):
        export(limited, tmp_path / "a.tflite", prover=few)


def test_unknown_recipe_lists_the_known_ones(source, tmp_path):
    with pytest.raises(OptionError, match=r"'int3'; choose among float32, .*, dynamic-int8"):
        export(source, tmp_path / "a.tflite", recipe="int3")


@pytest.mark.parametrize("name", ["a.pb", "a"])
def test_unknown_suffix_lists_the_known_ones(source, tmp_path, name):
    with pytest.raises(OptionError, match=r"\.tflite or \.onnx"):
        export(source, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_images_must_be_some_and_readable(source, tmp_path):
    with pytest.raises(OptionError, match="no images"):
        Prover(source, [])
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        export(source, tmp_path / "a.tflite", images=[broken])
    assert list(tmp_path.iterdir()) == [broken]


@pytest.mark.parametrize("where", ["missing/a.tflite", "file/a.tflite", "folder.tflite"])
def test_place_that_cannot_be_written_is_refused_before_the_work(source, tmp_path, where):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder.tflite").mkdir()
    before = sorted(tmp_path.rglob("*"))
    told = []
    with pytest.raises(EdgecapError, match="Unable to write") as raised:
        export(source, tmp_path / where, progress=lambda *said: told.append(said))
    assert str(tmp_path / where) in str(raised.value)
    assert told == []
    assert sorted(tmp_path.rglob("*")) == before


def test_full_disk_leaves_the_old_file(source, few, tmp_path, monkeypatch):
    target = tmp_path / "a.onnx"
    target.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(exporting.os, "replace", full)
    with pytest.raises(EdgecapError, match="No space left"):
        export(source, target, prover=few)
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.onnx"]


def test_file_that_is_not_what_its_recipe_says_is_refused(source, few, tmp_path, monkeypatch):
    from edgecap_export.formats import tflite

    monkeypatch.setattr(tflite, "quantize", lambda model, *_: model)
    with pytest.raises(ExportError, match=r"step's weights int8 or uint8 but .* float32"):
        export(source, tmp_path / "a.tflite", recipe="dynamic-int8", prover=few)
    assert os.listdir(tmp_path) == []


def test_parts_that_disagree_are_refused_with_both_numbers(source):
    shorter = replace(source.vocabulary, words=source.vocabulary.words[:-1])
    with pytest.raises(OptionError, match=f"{WORDS - 1} words .* {WORDS} rows"):
        replace(source, vocabulary=shorter)
    other = replace(source.preparation, height=SIZE + 1)
    with pytest.raises(OptionError, match=f"{SIZE + 1}.*{SIZE}"):
        replace(source, preparation=other)


def test_export_needs_keras_on_tensorflow(source, few, tmp_path, monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(OptionError, match=r"'jax' .*KERAS_BACKEND=tensorflow"):
        export(source, tmp_path / "a.tflite", prover=few)


def test_export_says_nothing(source, few, tmp_path, capfd):
    for suffix in (".tflite", ".onnx"):
        export(source, tmp_path / f"a{suffix}", recipe="dynamic-int8", prover=few, gate=False)
    said = capfd.readouterr()
    assert said.out + said.err == ""


def test_images_are_taken_as_arrays_and_paths(source, tmp_path):
    from PIL import Image

    pictures = photographs(2)
    Image.fromarray(pictures[0]).save(tmp_path / "photo.png")
    found = Prover(source, [tmp_path / "photo.png", pictures[1]])
    assert found.pictures.names == (str(tmp_path / "photo.png"), "image 1")
    assert found.reference.greedy == Prover(source, pictures).reference.greedy
    assert np.array_equal(found.pictures.pixels, Prover(source, pictures).pictures.pixels)
