"""An .onnx file on a GPU, by ONNX Runtime's CUDA provider."""

from __future__ import annotations

from dataclasses import replace

from edgecap_bench.targets.registry import Kind, Plan, Setting, register, visible_gpus
from edgecap_bench.targets.runtime_file import RuntimeFile, plan_file, recipes_of
from edgecap_runtime.errors import EdgecapError

__all__ = ["OnnxCuda"]

_PROVIDER = "CUDAExecutionProvider"


class OnnxCuda(RuntimeFile):
    """The file in edgecap's runtime, its session on the first GPU."""

    def bring_in(self) -> None:
        """Import the runtime and ONNX Runtime; one without the provider is an error."""
        super().bring_in()
        import onnxruntime

        if _PROVIDER not in onnxruntime.get_available_providers():
            raise EdgecapError(
                "ONNX Runtime here has no CUDA provider: never measured; get it with: pip install "
                "onnxruntime-gpu"
            )

    def load(self) -> None:
        """Open the file on the GPU."""
        from edgecap_runtime import Captioner
        from edgecap_runtime.backends.onnx import OnnxBackend
        from edgecap_runtime.bundle import read_model
        from edgecap_runtime.kinds import KINDS

        class OnGpu(OnnxBackend):
            providers = (_PROVIDER, "CPUExecutionProvider")

        file = read_model(self._file)
        manifest = file.manifest
        backend = OnGpu(file, manifest, self._threads)
        driven = KINDS[manifest.kind].driven(backend, manifest.prefix)
        self._captioner = Captioner(manifest, driven)
        self.kind = manifest.kind


def _plan(setting: Setting, variant: str) -> Plan:
    file = setting.out / f"{setting.name}-{variant}.onnx"
    made = plan_file(f"onnx-cuda:{variant}", file, setting.threads, variant)
    target = "edgecap_bench.targets.onnx_cuda:OnnxCuda"
    return replace(
        made,
        threads=None,
        environment=visible_gpus(),
        start={**made.start, "target": target},
        has_floor=False,
    )


register(
    Kind(
        "onnx-cuda",
        "exported by a recipe, run by edgecap-runtime on ONNX Runtime's CUDA provider",
        recipes_of,
        _plan,
        by_default=False,
    )
)
