"""What the targets in Keras form share: the run, loaded with the benchmark's thread settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecap_bench.targets.registry import Plan, Setting

if TYPE_CHECKING:
    from edgecap.captioner import Design
    from edgecap_export.source import CaptionerSource

__all__ = ["KerasRun", "plan_run"]


class KerasRun:
    """A captioner in Keras form; the classes derived from it run it in different ways."""

    kind: str

    def __init__(self, run: str, threads: int) -> None:
        self._run = run
        self._threads = threads
        self.design: Design
        self.source: CaptionerSource

    def bring_in(self) -> None:
        """Import TensorFlow and Keras, with the same threads as everything else."""
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(self._threads)
        tf.config.threading.set_inter_op_parallelism_threads(self._threads)
        import edgecap.captioner  # noqa: F401  (imports Keras)

    def load(self) -> None:
        """Build the models and read their weights."""
        from edgecap.captioner import TrainedCaptioner

        captioner = TrainedCaptioner.load(self._run)
        self.design, self.source = captioner.design, captioner.source()

    def prepared(self, photo: str) -> Any:
        """Prepare a photograph as every target does, so that all say the same words."""
        from edgecap_runtime.preparation import prepare

        return prepare(photo, self.source.preparation)


def plan_run(setting: Setting, label: str, target: str) -> Plan:
    """Plan the row of a target ("module:Class") that runs the Keras form."""
    return Plan(
        label=label,
        files=tuple(sorted(setting.run.glob("*.weights.h5"))),
        baseline=True,
        threads=setting.threads,
        start={
            "target": target,
            "arguments": {"run": str(setting.run), "threads": setting.threads},
        },
    )
