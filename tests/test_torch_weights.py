"""Weight methods joined to modules: with torch's keys, shapes, values and steps, and without its surprises.

The pairs come from `known_as`: a definition of role "weight" that names one of torch.nn.utils.parametrizations is
compared with it, in float64, over steps of training and evaluation.
"""

from __future__ import annotations

import copy
import inspect
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

from comparing import compare
from grid import acting
from normlab import torch as face
from normlab.definition import Definition
from normlab.errors import DtypeError, ShapeError, UnknownNameError, UsageError
from normlab.torch.parametrize import joining

torch.set_num_threads(1)

WEIGHTS = [d for d in acting() if d.role == "weight"]
PREFIX = "torch.nn.utils.parametrizations."
PAIRS = [(d, k.name.removeprefix(PREFIX)) for d in WEIGHTS for k in d.known_as if k.name.startswith(PREFIX)]
KEPT = [d for d in WEIGHTS if d.states]  # those with a state, which training moves
# A module of each kind, and a batch for it; outputs first in the weight but for the transposed ones.
MODULES: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "Linear": (lambda: nn.Linear(6, 4), lambda: torch.randn(5, 6)),
    "Conv2d": (lambda: nn.Conv2d(3, 4, 3), lambda: torch.randn(2, 3, 5, 5)),
    "Conv1d, groups": (lambda: nn.Conv1d(4, 6, 3, groups=2), lambda: torch.randn(2, 4, 7)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 3), lambda: torch.randn(2, 3, 5, 5)),
    "ConvTranspose1d, groups": (lambda: nn.ConvTranspose1d(4, 6, 3, groups=2), lambda: torch.randn(2, 4, 5)),
    "Embedding": (lambda: nn.Embedding(5, 3), lambda: torch.randint(0, 5, (7,))),
}
named = {"ids": lambda v: getattr(v, "name", v if isinstance(v, str) else "")}


def twins(d: Definition, twin: str, kind: str, **options: Any) -> tuple[Any, Any, torch.Tensor]:
    """One module with our method and an equal one with torch's, in the same state, and a batch."""
    torch.manual_seed(0)
    make, batch = MODULES[kind]
    ours = make().double()
    theirs: Any = copy.deepcopy(ours)
    translated = {t: options[o] for k in d.known_as if k.name == PREFIX + twin for t, o in k.options.items() if o in options}
    join = getattr(parametrizations, twin)
    # torch's weight normalization takes no notice of transposed convolutions; told to, it does what the paper says.
    second = {"dim": 1} if "Transpose" in kind and inspect.signature(join).parameters["dim"].default == 0 else {}
    join(theirs, **translated, **second)
    getattr(face, d.name)(ours, **options)
    theirs.load_state_dict(ours.state_dict())
    x = batch()
    return ours, theirs, x.double() if x.is_floating_point() else x


def close(a: torch.Tensor, b: torch.Tensor, row: str = "torch") -> None:
    compare(a.detach().numpy(), b.detach().numpy(), row)


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize(("d", "twin"), PAIRS, **named)
def test_five_steps_and_evaluations_are_those_of_torch(d: Definition, twin: str, kind: str) -> None:
    pair = twins(d, twin, kind)
    x, optimizers = pair[2], [torch.optim.SGD(m.parameters(), 1e-2) for m in pair[:2]]
    for seed in range(5):
        outputs = []
        for module, optimizer in zip(pair[:2], optimizers, strict=True):
            y = module.train()(x)
            optimizer.zero_grad()
            # along a random direction: the square of y does not change with the direction of an embedding's rows
            (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))).mean().backward()
            gradients = [p.grad for p in module.parameters()]
            optimizer.step()
            outputs.append([y, *gradients, module.eval()(x)])
        for ours, theirs in zip(*outputs, strict=True):
            close(ours, theirs, "torch gradient")


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize(("d", "twin"), PAIRS, **named)
def test_checkpoints_move_both_ways(d: Definition, twin: str, kind: str) -> None:
    ours, theirs, x = twins(d, twin, kind)
    assert [(n, a.shape) for n, a in ours.state_dict().items()] == [(n, a.shape) for n, a in theirs.state_dict().items()]
    with torch.no_grad():
        for a in theirs.state_dict().values():
            a.normal_()
    ours.load_state_dict(theirs.state_dict())
    close(ours.eval()(x), theirs.eval()(x))
    stored = io.BytesIO()
    torch.save(ours.state_dict(), stored)
    stored.seek(0)
    theirs.load_state_dict(torch.load(stored, weights_only=True))


EARLIER = [(d, twin) for d, twin in PAIRS if hasattr(nn.utils, twin)]


@pytest.mark.parametrize(("d", "twin"), EARLIER, **named)
@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")  # the function before parametrizations warns of itself
def test_checkpoints_from_before_parametrizations_can_be_read(d: Definition, twin: str) -> None:
    torch.manual_seed(0)
    former: Any = nn.Sequential(getattr(nn.utils, twin)(nn.Linear(6, 4)))
    former(torch.randn(3, 6))
    net: Any = nn.Sequential(getattr(face, d.name)(nn.Linear(6, 4)))
    net.load_state_dict(former.state_dict())
    x = torch.randn(3, 6)
    close(net.eval()(x), former.eval()(x))
    parametrize.remove_parametrizations(net[0], "weight")
    with pytest.raises(RuntimeError, match="weight_"):  # no longer what the module is
        net.load_state_dict(former.state_dict())


@pytest.mark.parametrize("d", KEPT, **named)
def test_two_forward_passes_before_the_backward_pass(d: Definition) -> None:
    """As a discriminator is called on what is real and what is not; torch's first version failed here."""
    module = joining(d)(nn.Linear(6, 4).double())
    x = torch.randn(5, 6, dtype=torch.float64)
    loss = module(x).sum() - module.eval()(2 * x).square().sum() + module.train()(3 * x).sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def state_of(module: Any) -> list[np.ndarray]:
    return [a.numpy().copy() for a in module.buffers()]


@pytest.mark.parametrize("d", KEPT, **named)
def test_state_moves_in_training_alone(d: Definition) -> None:
    torch.manual_seed(0)
    module = joining(d)(nn.Linear(6, 4), warmup=0)
    x = torch.randn(5, 6)
    before = state_of(module)
    module.eval()(x)
    assert all(np.array_equal(a, b) for a, b in zip(before, state_of(module), strict=True))
    module.train()(x)
    assert not all(np.array_equal(a, b) for a, b in zip(before, state_of(module), strict=True))


@pytest.mark.parametrize("reentrant", [False, True], ids=["", "reentrant"])
@pytest.mark.parametrize("d", WEIGHTS, **named)
def test_a_pass_run_again_by_checkpointing_is_the_same_pass(d: Definition, reentrant: bool) -> None:
    """Two such passes, whose states differ; gradients and state are those of plain passes."""
    torch.manual_seed(0)
    plain = joining(d)(nn.Linear(6, 6).double(), **({"warmup": 0} if d.states else {}))
    again = copy.deepcopy(plain)
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    plain(plain(x).tanh()).square().sum().backward()
    once = lambda module, a: checkpoint(module, a, use_reentrant=reentrant)  # noqa: E731
    once(again, once(again, x).tanh()).square().sum().backward()
    for a, b in zip(state_of(plain), state_of(again), strict=True):
        assert np.array_equal(a, b)
    for p, q in zip(plain.parameters(), again.parameters(), strict=True):
        assert p.grad is not None and q.grad is not None
        close(q.grad, p.grad)


@pytest.mark.parametrize("d", KEPT, **named)
def test_the_start_is_iterated_from_chance(d: Definition) -> None:
    """After the fifteen calls the weight is the one that 300 lead to, to the share that the iteration's rate leaves."""
    torch.manual_seed(0)
    weight = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0] @ torch.diag(torch.tensor([3.0, 2, 1, 1, 1, 1]).double())
    found = {}
    for warmup in (15, 300, None):
        module: Any = nn.Linear(6, 6, dtype=torch.float64)
        with torch.no_grad():
            module.weight.copy_(weight)
        joining(d)(module, **({} if warmup is None else {"warmup": warmup}))
        found[warmup] = module.eval().weight.detach()
    for warmup in (15, None):
        assert 0 < float((found[warmup] - found[300]).abs().max()) < 1e3 * (2 / 3) ** (2 * 15)


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("d", WEIGHTS, **named)
def test_removing_it_leaves_the_weight_as_it_was(d: Definition, kind: str) -> None:
    torch.manual_seed(0)
    make, batch = MODULES[kind]
    module, x = joining(d)(make()).eval(), batch()
    wanted, before = module(x), module.weight.detach().clone()
    parametrize.remove_parametrizations(module, "weight")
    assert type(module) is type(make()) and isinstance(module.weight, nn.Parameter)
    assert torch.equal(module.weight, before) and torch.equal(module(x), wanted)


def test_a_weight_that_is_assigned_is_what_the_module_then_has() -> None:
    """Where the method only names length and direction apart; a method that changes the weight changes this one too."""
    torch.manual_seed(0)
    for start in ("norm", "one"):
        module = face.weight_norm(nn.Linear(6, 4), start=start)
        wanted = torch.randn(4, 6)
        module.weight = wanted
        close(module.weight, wanted)


def test_lengths_may_start_at_one_or_from_a_batch() -> None:
    torch.manual_seed(0)
    one = face.weight_norm(nn.Linear(6, 4), start="one")
    close(torch.linalg.vector_norm(one.weight, dim=1), torch.ones(4))
    x = 3.0 * torch.randn(50, 3, 9, 9, dtype=torch.float64) + 2.0
    data = face.weight_norm(nn.Conv2d(3, 4, 3, dtype=torch.float64), start="data", batch=x)
    y = data(x)
    close(y.mean((0, 2, 3)) + 1.0, torch.ones(4).double())
    close(y.std((0, 2, 3), correction=0), torch.ones(4).double())


@pytest.mark.parametrize("d", WEIGHTS, **named)
def test_copies_are_their_own(d: Definition) -> None:
    module = joining(d)(nn.Conv2d(3, 4, 3))
    copied = copy.deepcopy(module)
    x = torch.randn(1, 3, 5, 5)
    assert torch.equal(copied.eval()(x), module.eval()(x))
    with torch.no_grad():
        for p in copied.parameters():
            p.add_(torch.rand_like(p))
    assert not torch.equal(copied(x), module(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("d", WEIGHTS, **named)
def test_half_precision_is_computed_wide(d: Definition, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    module = joining(d)(nn.Linear(64, 32).to(dtype)).eval()
    wide = copy.deepcopy(module).double()
    wide.load_state_dict(module.state_dict())
    got, wanted = module.weight.detach(), wide.weight.detach()
    assert got.dtype is dtype
    # rounded once, by half a unit of the last place; the state of a wide copy is the narrow one's
    assert float((got.double() - wanted).abs().max()) <= 0.51 * torch.finfo(dtype).eps * float(wanted.abs().max())


def test_another_parameter_than_the_weight() -> None:
    attention = face.spectral_norm(nn.MultiheadAttention(8, 2), name="in_proj_weight")
    x = torch.randn(3, 2, 8)
    attention(x, x, x)[0].sum().backward()
    assert "parametrizations.in_proj_weight.0._u" in attention.state_dict()


@pytest.mark.parametrize("d", WEIGHTS, **named)
def test_signatures_tell_the_options(d: Definition) -> None:
    join = getattr(face, d.name)
    names = list(inspect.signature(join).parameters)
    assert names[:3] == ["module", "name", "layout"] and {o.name for o in d.options} <= set(names)
    assert all(f"    {n}: " in join.__doc__ for n in names) and d.name in dir(face)


@pytest.mark.parametrize("d", WEIGHTS, **named)
def test_what_cannot_be_joined_is_refused(d: Definition) -> None:
    join = joining(d)
    with pytest.raises(UsageError, match=f"{d.name}: module must be a torch.nn.Module, got int"):
        join(3)
    with pytest.raises(UnknownNameError, match=r"unknown parameter of Linear 'wieght'\. Did you mean weight"):
        join(nn.Linear(2, 2), "wieght")
    with pytest.raises(UnknownNameError, match=f"unknown argument of {d.name} 'dim'"):
        join(nn.Linear(2, 2), dim=0)
    with pytest.raises(UsageError, match="missing a required argument"):
        join()
    with pytest.raises(UsageError, match=r"has no shape yet\. Call the module once before"):
        join(nn.LazyLinear(3))
    with pytest.raises(UsageError, match="weight of ParametrizedLinear has it already"):
        join(join(nn.Linear(2, 2)))
    with pytest.raises(ShapeError, match=r"weight must have the axes 'o i \.\.\.', got shape"):
        join(nn.LayerNorm(3))
    whole = nn.Linear(2, 2)
    whole.weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int64), requires_grad=False)
    with pytest.raises(DtypeError, match="weight must have floating-point elements"):
        join(whole)


def test_a_start_from_data_says_what_it_lacks() -> None:
    with pytest.raises(UsageError, match="needs the responses to a batch"):
        face.weight_norm(nn.Linear(2, 2), start="data")
    with pytest.raises(UsageError, match="this start sets the bias of Linear, which has none"):
        face.weight_norm(nn.Linear(2, 2, bias=False), start="data", batch=torch.randn(9, 2))
