"""`param_groups`: what decays and what does not, beside what timm and transformers decide."""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import normlab as nl
from foreign import timm, transformers
from networks import resnet18, transformer
from normlab.errors import UsageError

torch.set_num_threads(1)


class RMS(nn.Module):
    """A norm that neither name nor class tells."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x.square().mean(-1, keepdim=True).add(1e-6).rsqrt() * self.gain


def language_model(name: str, **more: Any) -> Callable[[], nn.Module]:
    small = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    small |= {"n_embd": 16, "n_layer": 2, "n_head": 2, "d_model": 16, "d_ff": 24, "d_kv": 8, "num_layers": 2, "num_heads": 2, **more}
    kind = getattr(transformers, f"{name}Config")
    names = inspect.signature(kind.__init__).parameters
    return lambda: getattr(transformers, f"{name}Model")(kind(**{n: v for n, v in small.items() if n in names}))


create = lambda name, **more: lambda: timm.create_model(name, pretrained=False, num_classes=5, **more)  # noqa: E731
MODELS: dict[str, Callable[[], nn.Module]] = {
    "ResNet-18": lambda: resnet18(5, narrow=8),
    "Transformer": lambda: transformer(16, 2, 2),
    "timm convnext": create("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
    "timm vit": create("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=24),
    "timm efficientnet": create("efficientnet_lite0"),
    "BERT": language_model("Bert"),
    "GPT-2": language_model("GPT2"),
    "Llama": language_model("Llama", num_key_value_heads=2),
    "T5": language_model("T5"),
}  # fmt: skip
every_model = pytest.mark.parametrize("name", MODELS)


def names(groups: Any, decays: bool) -> set[str]:
    return {n for g in groups if (g["weight_decay"] > 0) is decays for n in g["names"]}


@every_model
def test_every_parameter_that_learns_is_in_one_group_and_no_norm_decays(name: str) -> None:
    model = MODELS[name]()
    frozen = next(iter(model.parameters())).requires_grad_(False)
    groups = nl.param_groups(model, 0.05)
    found = [id(p) for g in groups for p in g["params"]]
    assert sorted(found) == sorted(id(p) for p in model.parameters() if p is not frozen)
    parameters = dict(model.named_parameters())
    assert all(parameters[n] is p for g in groups for n, p in zip(g["names"], g["params"], strict=True))
    gains = {id(p) for m in model.modules() if "norm" in type(m).__name__.lower() for p in m.parameters(recurse=False)}
    decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    assert gains and not gains & decayed
    assert {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d) and m.weight is not frozen} <= decayed


@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith("timm") or n in ("ResNet-18", "Transformer")])
def test_it_agrees_with_timm_on_models_of_vision(name: str) -> None:
    from timm.optim import param_groups_weight_decay

    model = MODELS[name]()
    skip = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    theirs = {id(p): g["weight_decay"] for g in param_groups_weight_decay(model, 0.05, no_weight_decay_list=skip) for p in g["params"]}
    ours = {id(p): g["weight_decay"] for g in nl.param_groups(model, 0.05) for p in g["params"]}
    assert ours == theirs


@pytest.mark.parametrize("name", ["BERT", "GPT-2", "Llama", "T5"])
def test_what_transformers_rule_by_classes_misses_is_found(name: str) -> None:
    """Its rule names nn.LayerNorm alone; gains of the models' own RMS norms then decay."""
    from transformers.trainer_pt_utils import get_parameter_names

    model = MODELS[name]()
    once = {n for n, _ in model.named_parameters()}  # T5 shares its embedding
    theirs = {n for n in get_parameter_names(model, [nn.LayerNorm]) if not n.endswith("bias")} & once
    more = theirs - names(nl.param_groups(model, 0.1), True)
    custom = {n for n, m in model.named_modules() if type(m).__name__ in ("LlamaRMSNorm", "T5LayerNorm")}
    assert {n.rpartition(".")[0] for n in more} == custom and bool(custom) is (name in ("Llama", "T5"))
    assert names(nl.param_groups(model, 0.1), True) <= theirs


def test_norms_of_any_shape_and_name_and_gains_of_weights_are_kept_out() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch calls it deprecated
        old = nn.utils.weight_norm(nn.Conv1d(3, 4, 2))

    class ChannelNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.g, self.matrix = nn.Parameter(torch.ones(1, 4, 1, 1)), nn.Parameter(torch.ones(4, 4))

    model = nn.ModuleDict({
        "dense": nn.Linear(4, 1), "images": nn.LayerNorm((3, 4, 4)), "custom": RMS(4), "channels": ChannelNorm(),
        "old": old, "new": parametrizations.weight_norm(nn.Conv1d(3, 4, 2)), "ours": nl.torch.weight_norm(nn.Linear(3, 4)),
        "spectral": parametrizations.spectral_norm(nn.Linear(3, 4)), "norm": nl.torch.LayerNorm((3, 4)), "words": nn.Embedding(5, 4),
        "film": nl.torch.FiLM(4, condition=3), "two": nn.Bilinear(2, 2, 2),
    })  # fmt: skip
    model["table"] = nn.Module()
    model["table"].position_bias = nn.Parameter(torch.ones(3, 3))
    model["space"] = nn.Module()
    model["space"].A_log = nn.Parameter(torch.ones(3, 3))
    model["space"].A_log._no_weight_decay = True
    groups = nl.param_groups(model, 0.1)
    decays = {"dense.weight", "channels.matrix", "old.weight_v", "new.parametrizations.weight.original1", "words.weight",
              "ours.parametrizations.weight.original1", "spectral.parametrizations.weight.original", "two.weight"}  # fmt: skip
    film = {n for n in names(groups, True) if n.startswith("film")}
    assert names(groups, True) - film == decays and film == {n for n, p in model.named_parameters() if n.startswith("film") and p.ndim > 1}
    text = str(groups)
    reasons = {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines()}
    assert reasons["images.weight"] == reasons["norm.weight"] == "of LayerNorm" and reasons["channels.g"] == "of ChannelNorm"
    assert reasons["custom.gain"] == "a vector" and reasons["table.position_bias"] == "a bias" and reasons["space.A_log"] == "the model says so"
    assert reasons["old.weight_g"] == reasons["ours.parametrizations.weight.original0"] == "the gain of a weight"
    assert f"weight decay 0.1: {len(decays | film)} parameters" in text


def test_what_a_model_spares_is_spared_within_another_and_compiled() -> None:
    vit = MODELS["timm vit"]()
    spared = {n for n in names(nl.param_groups(vit, 0.1), False) if vit.get_parameter(n).ndim > 1}
    assert spared == vit.no_weight_decay() & set(dict(vit.named_parameters()))
    for model, prefix in ((nn.ModuleDict({"eye": vit}), "eye."), (torch.compile(vit), "_orig_mod."), (nn.DataParallel(vit), "module.")):
        assert {prefix + n for n in spared} <= names(nl.param_groups(model, 0.1), False)


def test_an_optimizer_takes_the_groups_and_a_gain_does_not_shrink() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    before = copy.deepcopy(model)
    for kind in (torch.optim.SGD, torch.optim.AdamW):
        optimizer = kind(nl.param_groups(model, 0.5), lr=0.1)
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        assert optimizer.param_groups[1]["names"] == ["0.bias", "1.weight", "1.bias"] and optimizer.state_dict()
    assert torch.equal(model[1].weight, before[1].weight) and (model[0].weight.norm() < 0.95 * before[0].weight.norm())


def test_shared_parameters_occur_once_and_a_norm_has_the_last_word() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm((4, 4)), nn.Linear(4, 4))
    model[0].weight = model[2].weight = model[1].weight
    groups = nl.param_groups(model, 0.1)
    assert len(groups) == 1 and groups[0]["weight_decay"] == 0.0 and groups[0]["names"].count("0.weight") == 1


def test_after_adopt_and_freeze_the_groups_say_the_same() -> None:
    model = resnet18(5, narrow=8)
    before = {n: g["weight_decay"] for g in nl.param_groups(model, 0.1) for n in g["names"]}
    nl.adopt(model)
    assert {n: g["weight_decay"] for g in nl.param_groups(model, 0.1) for n in g["names"]} == before
    nl.freeze(model)
    groups = nl.param_groups(model, 0.1)
    assert names(groups, False) == {"9.bias"} if "9.bias" in before else len(names(groups, False)) == 1
    assert "in no group: 40 parameters" in str(groups)


@pytest.mark.parametrize("decay", [-1.0, math.nan, math.inf, "0.1", True, None], ids=str)
def test_what_is_no_decay_is_refused(decay: Any) -> None:
    with pytest.raises(UsageError, match="param_groups: weight_decay must be a number of at least 0, got"):
        nl.param_groups(nn.Linear(2, 2), decay)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (nn.ReLU(), "ReLU has no parameter that learns. An optimizer has nothing to do"),
        (nn.Linear(2, 2).requires_grad_(False), "Linear has no parameter that learns. All are frozen"),
        (nn.LazyLinear(2), "weight has no shape yet. Call the model once before"),
        ([nn.Parameter(torch.ones(2))], "model must be a torch.nn.Module, got list"),
    ],
    ids=lambda v: type(v).__name__ if not isinstance(v, str) else "",
)  # fmt: skip
def test_what_has_nothing_to_group_is_refused(model: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        nl.param_groups(model, 0.1)
