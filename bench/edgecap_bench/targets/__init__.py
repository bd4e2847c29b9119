"""What can be measured. A new kind is one module here with a `Kind`, and one line at the end."""

from __future__ import annotations

from edgecap_bench.targets.registry import KINDS, Kind, Plan, Setting, plan_targets

__all__ = ["KINDS", "Kind", "Plan", "Setting", "plan_targets"]

# In the order of a table.
from edgecap_bench.targets import notebook  # noqa: F401, I001
from edgecap_bench.targets import keras_step  # noqa: F401
from edgecap_bench.targets import gpu  # noqa: F401
from edgecap_bench.targets import runtime_file  # noqa: F401
from edgecap_bench.targets import onnx_cuda  # noqa: F401
