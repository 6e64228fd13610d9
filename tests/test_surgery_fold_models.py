"""`fold` on whole models of other libraries, built from their configurations, with random gains and statistics.

In float32 folding rounds each weight once, as moving each parameter by one unit in its last place does; it may not move
the output by more than a few times that. tests/folded.md has all families of timm (`python tests/foldable.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import normlab as nl
from foldable import FAMILIES, PAGE, Row, randomized, row, swept, table
from foreign import timm, transformers
from normlab.surgery.measuring import outputs
from normlab.surgery.symbolic_flow import Untraceable, symbolic

torch.set_num_threads(1)

SINGLE, DOUBLE = 1e-5, 1e-12
FEW = 4
"""Times the noise, where a model with random gains is so sensitive that rounding alone is beyond the tolerance."""
IDS, LATER = torch.arange(14).reshape(2, 7), torch.arange(6).reshape(2, 3)

# The normalizations of each and how many of them fold. In a vision transformer the last one's output is sliced, in
# ConvNeXt a stem's goes to a residual stream, in MambaOut to a convolution that pads.
QUICK = {
    "test_resnet": (15, 15), "test_efficientnet": (13, 13), "test_byobnet": (14, 14), "test_convnext": (14, 12),
    "test_vit": (13, 12), "test_vit_relpos": (19, 19), "test_mambaout": (11, 7), "test_coatnet": (14, 9), "test_nfnet": (0, 0),
    "starnet_s050": None, "mobilevit_xxs": None, "repghostnet_050": None, "mobilenetv3_small_050": (34, 34), "fasternet_t0": (17, 17),
}  # fmt: skip


def close_enough(found: Row) -> bool:
    return found.moved32 <= max(SINGLE, FEW * found.noise32) and found.moved64 <= max(DOUBLE, FEW * found.noise64)


@pytest.mark.parametrize("name", QUICK)
def test_a_family_of_timm_computes_the_same(name: str) -> None:
    found = row(name)
    assert found.moved32 <= SINGLE and found.moved64 <= DOUBLE
    assert QUICK[name] in (None, (found.norms, found.folded))
    assert found.folded > 0 or name == "test_nfnet"  # which has no normalization


@pytest.mark.slow
def test_every_family_of_timm_computes_the_same() -> None:
    modules = {timm.models._registry._model_to_module[name] for name in FAMILIES}
    assert modules == set(timm.models._registry._model_to_module.values())
    rows, failed = swept(FAMILIES)
    assert not failed and all(close_enough(found) for found in rows), table(rows, failed)
    assert sum(found.moved32 > SINGLE or found.moved64 > DOUBLE for found in rows) <= 6  # four on the page, where rounding alone does as much


def test_the_page_has_every_family() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"{len(FAMILIES)} families tried" in text and all(f"| {name} |" in text or f"- {name}:" in text for name in FAMILIES)


def small(**more: Any) -> dict[str, Any]:
    return {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 20,
            "max_position_embeddings": 16, **more}  # fmt: skip


def language_models() -> dict[str, tuple[Callable[[], nn.Module], dict[str, torch.Tensor], int, dict[str, str]]]:
    """By name: a model, its batch, how many of its norms fold, and why the others do not."""
    t, one = transformers, {"input_ids": IDS}
    two = {"input_ids": IDS, "decoder_input_ids": LATER}
    gpt2 = lambda: t.GPT2LMHeadModel(t.GPT2Config(vocab_size=50, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0))  # noqa: E731
    llama = lambda tie: lambda: t.LlamaForCausalLM(t.LlamaConfig(**small(num_key_value_heads=2, tie_word_embeddings=tie)))  # noqa: E731
    t5 = lambda: t.T5ForConditionalGeneration(t.T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=20, num_layers=2, num_heads=2, decoder_start_token_id=0, feed_forward_proj="gated-gelu"))  # noqa: E731
    tied = "its weight is shared"
    return {
        "GPT-2": (gpt2, one, 4, {"transformer.ln_f": tied}),
        "BERT": (
            lambda: t.BertForMaskedLM(t.BertConfig(**small())), one, 1,
            {"bert.encoder.layer.0.output.LayerNorm": "gives goes to aten.add", "cls.predictions.transform.LayerNorm": tied},
        ),
        "Llama": (llama(False), one, 5, {}),
        "Llama, tied": (llama(True), one, 4, {"model.norm": tied}),
        "T5": (t5, two, 10, {"encoder.final_layer_norm": "goes to the model's output"}),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # theirs, about their configurations
@pytest.mark.parametrize("name", ["GPT-2", "BERT", "Llama", "Llama, tied", "T5"])
def test_a_language_model_computes_the_same(name: str) -> None:
    make, batch, count, reasons = language_models()[name]
    for dtype, most in ((torch.float32, SINGLE), (torch.float64, DOUBLE)):
        torch.manual_seed(0)
        model = randomized(make()).to(dtype).eval()
        before = outputs(model, batch)[0]
        report = nl.fold(model, batch)
        assert len(report.changed) == count and report.moved is not None and report.moved <= most, str(report)
        refused = {r.path: r.reason for r in report.refused}
        assert all(reason in refused[path] for path, reason in reasons.items()), str(report)
        report.undo()
        assert torch.equal(outputs(model, batch)[0], before)


@pytest.mark.filterwarnings("ignore")
def test_without_a_batch_a_language_model_says_that_it_needs_one() -> None:
    make, _, _, _ = language_models()["Llama"]
    report = nl.fold(make())
    assert not report.changed and len(report.refused) == 5 and all(r.reason.endswith("give a batch") for r in report.refused)


@pytest.mark.filterwarnings("ignore")
def test_a_gain_of_one_plus_weight_is_folded_to_zero() -> None:
    """Gemma's; it multiplies in float32, which a model in float64 would notice."""
    model = randomized(transformers.GemmaForCausalLM(transformers.GemmaConfig(**small(num_key_value_heads=2, head_dim=4)))).eval()
    report = nl.fold(model, {"input_ids": IDS})
    assert len(report.changed) == 4 and report.moved is not None and report.moved <= SINGLE
    assert not model.model.layers[0].input_layernorm.weight.any()  # type: ignore[union-attr,index]
    report.undo()
    assert "multiplies in float32, less exactly than this model computes" in str(nl.fold(model.double(), {"input_ids": IDS}))


def test_a_norm_with_an_activation_inside_leaves_the_activation() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), timm.layers.BatchNormAct2d(4, act_layer=nn.SiLU), nn.Conv2d(4, 4, 1), timm.layers.FrozenBatchNormAct2d(4))
    report = nl.fold(randomized(model.double()).eval(), torch.randn(2, 3, 6, 5, dtype=torch.float64))
    assert [type(m).__name__ for m in model] == ["Conv2d", "SiLU", "Conv2d", "ReLU"]
    assert report.moved is not None and report.moved <= DOUBLE


def test_padding_inside_the_class_of_a_convolution_is_tried() -> None:
    """Outputs may be scaled whatever is padded; a copy is called to see it."""
    model = nn.Sequential(timm.layers.Conv2dSame(3, 4, 3, stride=2), nn.BatchNorm2d(4))
    report = nl.fold(randomized(model.double()).eval(), torch.randn(2, 3, 9, 9, dtype=torch.float64))
    assert len(report.changed) == 1 and report.moved is not None and report.moved <= DOUBLE


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_byobnet"])
def test_convolutional_networks_need_no_batch(name: str) -> None:
    model = randomized(timm.create_model(name)).double().eval()
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    y = model(x).detach()
    report = nl.fold(model)
    assert not report.refused
    assert (model(x) - y).abs().max() <= DOUBLE * y.abs().max()


def test_a_trace_leaves_the_model_as_it_was() -> None:
    model = timm.create_model("test_resnet").train()
    before = {n: (m.training, {k: id(v) for k, v in vars(m).items()}) for n, m in model.named_modules()}
    state = {n: a.clone() for n, a in model.state_dict().items()}
    try:
        symbolic(model)
    except Untraceable:
        pytest.fail("it can be traced")
    assert before == {n: (m.training, {k: id(v) for k, v in vars(m).items()}) for n, m in model.named_modules()}
    assert all(torch.equal(state[n], a) for n, a in model.state_dict().items())
