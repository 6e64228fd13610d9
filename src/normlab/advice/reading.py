"""Read the answers from a torch model and a batch: the kinds of layers there are, the shape of what goes in.

Nothing is run. What a rule of thumb cannot tell (whether training and evaluation must agree) stays open, and how each
answer was read is said, so that it can be put right by giving it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import UsageError, missing_extra
from ..language import N_, both

try:
    import torch
    from torch import nn
except ImportError as absent:
    raise missing_extra("torch", "torch") from absent

__all__ = ["look", "standing_in"]

Text = dict[str, str]
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
UPSAMPLING = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Upsample)
ACTIVATIONS = nn.ReLU.__module__
RECURRENT = (nn.RNNBase, nn.RNNCellBase)


def look(model: Any, batch: Any = None) -> dict[str, Any]:
    """The answers that a model and a batch give, how each was read, and the normalizations in the model.

    Args:
        model: a `torch.nn.Module`; nothing in it is called or changed.
        batch: a tensor; a tuple or dict, of which the first tensor counts; or the number of samples on each device.

    Returns:
        `answers` (data, batch, net, as far as they could be read), `how` (a sentence each, in both languages) and
        `norms` (how many layers of each method).

    Raises:
        UsageError: `model` is no module, or `batch` holds no tensor and is no number.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"advise: model must be a torch.nn.Module, got {type(model).__name__}.")
    kinds = _kinds(model)
    answers: dict[str, Any] = {}
    how: list[Text] = []
    net, layers = _net(kinds)
    if net is not None:
        answers["net"] = net
        how.append(both("network: {net}, from {layers}", net=net, layers=layers))
    if isinstance(batch, int | str) or batch is None:
        answers["batch"] = batch
    else:
        x = _tensor(batch)
        shape = "x".join(map(str, x.shape))
        axis = 1 if _steps_first(model, x) else 0
        answers["batch"] = x.shape[axis] if x.ndim else 1
        message = N_("batch: {size}, axis {axis} of an input of shape {shape}")
        how.append(both(message, size=answers["batch"], axis=axis, shape=shape))
        data = _data(x, kinds)
        if data is not None:
            answers["data"] = data
            how.append(both("data: {data}, from an input of shape {shape}, {dtype}", data=data, shape=shape,
                            dtype=str(x.dtype).removeprefix("torch.")))  # fmt: skip
    if "data" not in answers and kinds["embedding"]:
        answers["data"] = "tokens"
        how.append(both("data: {data}, from {layers}", data="tokens", layers=f"Embedding x {kinds['embedding']}"))
    return {"answers": answers, "how": how, "norms": dict(standing_in(model))}


def standing_in(model: nn.Module) -> Counter[str]:
    """How many layers of each of our methods a model has, its own or those that `known_as` names."""
    from ..surgery.recognizing import method_of

    return Counter(name for module in model.modules() if (name := method_of(module)) is not None)


def _kinds(model: nn.Module) -> Counter[str]:
    """How many layers of each kind a model has."""
    is_a: Mapping[str, Callable[[nn.Module], bool]] = {
        "convolution": lambda m: isinstance(m, CONVOLUTIONS),
        "upsampling": lambda m: isinstance(m, UPSAMPLING),
        "recurrent": lambda m: isinstance(m, RECURRENT),
        "attention": lambda m: isinstance(m, nn.MultiheadAttention) or type(m).__name__.lower().endswith("attention"),
        "dense": lambda m: isinstance(m, nn.Linear),
        "sigmoid": lambda m: isinstance(m, nn.Sigmoid),
        "other activation": lambda m: type(m).__module__ == ACTIVATIONS and not isinstance(m, nn.Sigmoid),
        "embedding": lambda m: isinstance(m, nn.Embedding),
        "spectral": _is_spectral,
    }
    return Counter(kind for module in model.modules() for kind, holds in is_a.items() if holds(module))


def _is_spectral(module: nn.Module) -> bool:
    """Whether a module's weight is divided by its largest singular value: a sign of a discriminator."""
    made = getattr(module, "parametrizations", None)
    inside = [type(p).__name__.lower() for held in made.values() for p in held] if made is not None else []
    inside += [type(hook).__name__.lower() for hook in module._forward_pre_hooks.values()]
    return any("spectral" in name for name in inside)


def _net(kinds: Counter[str]) -> tuple[str | None, str]:
    """The kind of network, and the layers that say so; the first that fits."""
    for net, named in _signs(kinds):
        if all(kinds[kind] for kind in named):
            return net, ", ".join(f"{kind} x {kinds[kind]}" for kind in named)
    return None, ""


def _signs(kinds: Counter[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "gan", ("spectral",)
    yield "unet", ("convolution", "upsampling")
    if kinds["convolution"] > kinds["attention"]:  # one convolution that cuts an image into patches makes no CNN
        yield "cnn", ("convolution",)
    yield "transformer", ("attention",)
    yield "rnn", ("recurrent",)
    yield "cnn", ("convolution",)
    if kinds["sigmoid"] > kinds["other activation"] and kinds["dense"] > 2:  # else it is the output's
        yield "sigmoid_mlp", ("dense", "sigmoid")
    yield "mlp", ("dense",)


def _data(x: torch.Tensor, kinds: Counter[str]) -> str | None:
    """What an input is, by its axes and its dtype."""
    if x.ndim >= 4:
        return "images"
    if x.ndim == 3:
        return "tokens" if kinds["attention"] else "sequences"
    if x.ndim == 2:
        return "table" if x.is_floating_point() else "tokens"
    return None


def _steps_first(model: nn.Module, x: torch.Tensor) -> bool:
    """Whether the first axis is time: as torch's recurrent and attention layers have it unless told otherwise."""
    if x.ndim != 3:
        return False
    first = next((m for m in model.modules() if isinstance(m, nn.RNNBase | nn.MultiheadAttention)), None)
    return first is not None and not first.batch_first


def _tensor(batch: Any) -> torch.Tensor:
    """The first tensor of a batch. Raises UsageError where there is none."""
    items = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, list | tuple) else (batch,)
    found = next((item for item in items if isinstance(item, torch.Tensor)), None)
    if found is None:
        raise UsageError(
            f"advise: batch must be a tensor, a tuple or dict of tensors, or a number, got {type(batch).__name__}.",
        )
    return found
