"""Made from the definitions by python -m normlab.torch.stubs."""

from typing import Any, Literal

import torch
from torch import Tensor

from .call import call as call
from .call import normalize as normalize
from .layers import Layer as Layer
from .layers import build as build
from .layers import layer_class as layer_class
from .parametrize import joining as joining

class BatchNorm(Layer):
    """Batch normalization."""

    weight: torch.nn.Parameter
    bias: torch.nn.Parameter
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    def __init__(
        self,
        channels: int | tuple[int, ...] | None,
        *,
        layout: str = 'n c ...',
        eps: float = 1e-05,
        affine: bool = True,
        bias: bool = True,
        running: bool = True,
        momentum: float | None = 0.1,
        running_var_biased: bool = False,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        process_group: Any | None = None,
    ) -> None: ...
    def forward(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...

class LayerNorm(Layer):
    """Layer normalization."""

    weight: torch.nn.Parameter
    bias: torch.nn.Parameter
    def __init__(
        self,
        channels: int | tuple[int, ...] | None,
        *,
        layout: str = '... c',
        eps: float = 1e-05,
        affine: bool = True,
        bias: bool = True,
        over: Literal['features', 'sample'] = 'features',
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...

class InstanceNorm(Layer):
    """Instance normalization."""

    weight: torch.nn.Parameter
    bias: torch.nn.Parameter
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    def __init__(
        self,
        channels: int | tuple[int, ...] | None,
        *,
        layout: str = 'n c ...',
        eps: float = 1e-05,
        affine: bool = True,
        bias: bool = True,
        running: bool = False,
        momentum: float | None = 0.1,
        running_var_biased: bool = False,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...

class GroupNorm(Layer):
    """Group normalization."""

    weight: torch.nn.Parameter
    bias: torch.nn.Parameter
    def __init__(
        self,
        channels: int | tuple[int, ...] | None,
        *,
        layout: str = 'n c ...',
        eps: float = 1e-05,
        affine: bool = True,
        bias: bool = True,
        groups: int | Literal["auto"] = 'auto',
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...

class WholeNorm(Layer):
    """Whole-layer normalization."""

    weight: torch.nn.Parameter
    bias: torch.nn.Parameter
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    def __init__(
        self,
        channels: int | tuple[int, ...] | None,
        *,
        layout: str = 'n c ...',
        eps: float = 1e-05,
        affine: bool = True,
        bias: bool = True,
        running: bool = True,
        momentum: float | None = 0.1,
        running_var_biased: bool = False,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        process_group: Any | None = None,
    ) -> None: ...
    def forward(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...

class UnitNorm(Layer):
    """Per-sample (unit length) normalization."""

    def __init__(
        self,
        channels: int | tuple[int, ...] | None = None,
        *,
        layout: str = 'n c ...',
        eps: float = 1e-12,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...

class FiLM(Layer):
    """Feature-wise linear modulation (FiLM)."""

    projection: torch.nn.Parameter
    offset: torch.nn.Parameter
    def __init__(
        self,
        channels: int | tuple[int, ...] | None,
        *,
        layout: str = 'n c ...',
        condition: int = 1,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, x: Tensor, z: Tensor) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor, z: Tensor) -> Tensor: ...

class SpectralNorm(Layer):
    """Spectral normalization."""

    u: Tensor
    def __init__(
        self,
        channels: int | tuple[int, ...] | None,
        *,
        layout: str = 'o i ...',
        steps: int = 1,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, w: Tensor) -> Tensor: ...  # type: ignore[override]
    def __call__(self, w: Tensor) -> Tensor: ...

class SELU(Layer):
    """SELU (self-normalizing)."""

    def __init__(
        self,
        channels: int | tuple[int, ...] | None = None,
        *,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, x: Tensor) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor) -> Tensor: ...

class AlphaDropout(Layer):
    """Alpha dropout."""

    def __init__(
        self,
        channels: int | tuple[int, ...] | None = None,
        *,
        p: float = 0.05,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, x: Tensor) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor) -> Tensor: ...

class WeightNorm(Layer):
    """Weight normalization."""

    g: torch.nn.Parameter
    def __init__(
        self,
        channels: int | tuple[int, ...] | None,
        *,
        layout: str = 'o i ...',
        affine: bool = True,
        start: Literal['norm', 'one', 'data'] = 'norm',
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, v: Tensor) -> Tensor: ...  # type: ignore[override]
    def __call__(self, v: Tensor) -> Tensor: ...

class LocalResponseNorm(Layer):
    """Local response normalization."""

    def __init__(
        self,
        channels: int | tuple[int, ...] | None = None,
        *,
        layout: str = 'n c ...',
        size: int = 5,
        alpha: float = 0.0001,
        beta: float = 0.75,
        k: float = 1.0,
        window: Literal['torch', 'onnx'] = 'torch',
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, x: Tensor) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor) -> Tensor: ...

class RMSNorm(Layer):
    """RMS normalization."""

    weight: torch.nn.Parameter
    def __init__(
        self,
        channels: int | tuple[int, ...] | None,
        *,
        layout: str = '... c',
        eps: float = 1e-05,
        affine: bool = True,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None: ...
    def forward(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...  # type: ignore[override]
    def __call__(self, x: Tensor, *, mask: Tensor | None = ...) -> Tensor: ...

def spectral_norm(
    module: torch.nn.Module,
    name: str = 'weight',
    *,
    layout: str | None = None,
    steps: int = 1,
    warmup: int = 15,
) -> torch.nn.Module: ...

def weight_norm(
    module: torch.nn.Module,
    name: str = 'weight',
    *,
    layout: str | None = None,
    start: Literal['norm', 'one', 'data'] = 'norm',
    batch: Tensor | None = None,
) -> torch.nn.Module: ...
