"""One small model of every module of timm, with nothing at its default: what folding does to it.

`python tests/foldable.py` tries all of them and writes tests/folded.md; names after it try these alone and print.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

import normlab as nl
from foreign import timm
from normlab.surgery.measuring import outputs

PAGE = Path(__file__).with_name("folded.md")
# One model for each module of timm.models that registers any, the smallest of those that its names call small.
FAMILIES = """
beit_base_patch16_224 lambda_resnet26t test_byobnet cait_xxs24_224 coat_tiny convit_tiny convmixer_768_32 test_convnext
cpubone_nano crossvit_tiny_240 csatv2 darknet17 cspnext_tiny davit_tiny deepseek_vit_412m deit_tiny_patch16_224
densenet121 dla34 dpn68 edgenext_xx_small efficientformer_l1 efficientformerv2_s0 test_efficientnet efficientvim_m1
efficientvit_b0 efficientvit_m0 eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny
gemma4_vit_167m ghostnet_050 hardcorenas_b hgnetv2_b0 hiera_tiny_224 sam2_hiera_tiny hrnet_w18_small iformer_s
inception_next_atto inception_resnet_v2 inception_v3 inception_v4 lcnetv2_small levit_128 lowformer_b0 test_mambaout
test_coatnet caformer_s18 gmixer_12_224 mobilenetv3_small_050 mobilenetv5_base mobilevit_xxs mvitv2_tiny
naflexvit_base_patch16_gap nasnetalarge nest_tiny nextvit_small test_nfnet pit_xs_224 pnasnet5large pvt_v2_b0
qwen3_vit_88m rdnet_tiny regnetx_002 repghostnet_050 repvit_m1 res2next50 resnest14d test_resnet resnetv2_18 rexnet_100
selecsls42 legacy_seresnet18 sequencer2d_s shvit_s1 skresnet18 starnet_s050 swiftformer_xs swin_tiny_patch4_window7_224
swinv2_tiny_window16_256 swinv2_cr_tiny_224 tiny_vit_5m_224 tnt_s_legacy_patch16_224 tresnet_m twins_svt_small vgg11_bn
visformer_tiny test_vit vit_tiny_r_s16_p8_224 test_vit_relpos samvit_base_patch16_224 vitamin_small_224 volo_d1_224
vovnet39a legacy_xception xception41p xcit_nano_12_p8_224
""".split()  # noqa: SIM905 (a hundred names, to be read)
# As deep as shows every kind of block, where the smallest is large.
SHALLOWER: dict[str, dict[str, Any]] = {
    name: {"depth": 2}
    for name in ("beit_base_patch16_224", "deepseek_vit_412m", "gemma4_vit_167m", "qwen3_vit_88m", "naflexvit_base_patch16_gap",
                 "samvit_base_patch16_224")
}  # fmt: skip
SMALLEST = (64, 128)
"""Sides of images that are tried before the model's own, to save time."""
SETTLING = 8
"""Images from which running statistics are taken: from two, a layer that sees one position would divide by noise."""


class Row(NamedTuple):
    """What became of one model."""

    name: str
    norms: int
    folded: int
    refused: Counter[str]
    moved32: float
    noise32: float
    moved64: float
    noise64: float


def randomized(model: nn.Module, seed: int = 0) -> nn.Module:
    """Gains and biases far from where they start, and running statistics, or folding would change nothing."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim <= 1 and p.is_floating_point():
                drawn = torch.rand(p.shape, generator=draw).to(p.dtype)
                p.copy_(0.2 * (drawn - 0.5) if name.endswith("bias") else 0.75 + 0.5 * drawn)
            elif not p.any():  # a head that starts at 0 would hide all that comes before it
                p.copy_(0.1 * torch.randn(p.shape, generator=draw))
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(0.2 * torch.randn(b.shape, generator=draw))
            elif name.endswith("running_var"):
                b.copy_(0.5 + torch.rand(b.shape, generator=draw))
    return model


def settled(model: nn.Module, batch: torch.Tensor) -> nn.Module:
    """Running statistics near those of the batch, as training leaves them: values stay in range through 100 layers."""
    norms: list[Any] = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    draw = torch.Generator().manual_seed(1)
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        model(batch)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
            norm.running_mean += 0.2 * norm.running_var.sqrt() * torch.randn(norm.running_mean.shape, generator=draw)
            norm.running_var.clamp_(min=0.1 * float(norm.running_var.mean()))  # no channel is dead
            norm.running_var *= 0.75 + 0.5 * torch.rand(norm.running_var.shape, generator=draw)
    return model


def created(name: str) -> tuple[nn.Module, torch.Tensor]:
    """The model and a batch that it takes; small images where it takes those."""
    torch.manual_seed(0)
    more = SHALLOWER.get(name, {})
    model = timm.create_model(name, pretrained=False, **more).eval()
    sizes = [(s, s) for s in SMALLEST] + [tuple(model.default_cfg["input_size"][1:])]
    for size in sizes:
        batch = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
        try:
            outputs(model, batch)
            more_images = torch.randn(SETTLING, 3, *size, generator=torch.Generator().manual_seed(2))
            return settled(randomized(model), more_images), batch
        except Exception:
            if size == sizes[-1]:
                raise
    raise AssertionError


def row(name: str) -> Row:
    """Fold it in float32, go back, and fold it in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, batch = created(name)
        before = {n: a.clone() for n, a in model.state_dict().items()}
        single = nl.fold(model, batch)
        single.undo()
        assert all(torch.equal(before[n], a) for n, a in model.state_dict().items())
        double = nl.fold(model.double(), batch.double())
        alive = [t for t in outputs(model, batch.double()) if t.isfinite().all() and t.any()]
    assert alive, "its outputs are not finite, or all zero"
    reasons = Counter(kind_of(r.reason) for r in double.refused)
    found = [x for r in (single, double) for x in (r.moved, r.noise)]
    return Row(name, len(double.changed) + len(double.refused), len(double.changed), reasons, *found)  # type: ignore[arg-type]


def kind_of(reason: str) -> str:
    """A reason without the names of layers, so that equal ones can be counted."""
    import re

    short = re.sub(r"[\w.]+ \((\w+)\)", r"\1", reason)
    return re.sub(r"\d+ channels|not \d+|aten\.", "", short)


def table(rows: list[Row], failed: dict[str, str]) -> str:
    """The page."""
    tried = len(rows) + len(failed)
    some = sum(r.folded > 0 for r in rows)
    over = [r.name for r in rows if r.moved32 > 1e-5 or r.moved64 > 1e-12]
    lines = [
        "# What folding does to every family of timm",
        "",
        "Written by `python tests/foldable.py`: one small model of each module of timm that registers any, with random gains,",
        "biases and running statistics. Moved: the largest difference of an output, as a share of the largest output. Noise: what",
        "moving each parameter by one unit in its last place does.",
        "",
        f"{tried} families tried, {len(rows)} built and run, {some} with something folded; {sum(r.norms for r in rows)} "
        f"normalizations, {sum(r.folded for r in rows)} folded. Largest movement: {max(r.moved32 for r in rows):.1e} in float32, "
        f"{max(r.moved64 for r in rows):.1e} in float64.",
        "",
        f"Beyond 1e-5 or 1e-12: {', '.join(over) or 'none'}; with random gains rounding alone moves these about as far.",
        "",
        "| model | normalizations | folded | float32: moved | noise | float64: moved | noise |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(f"| {r.name} | {r.norms} | {r.folded} | {r.moved32:.1e} | {r.noise32:.1e} | {r.moved64:.1e} | {r.noise64:.1e} |" for r in rows),
        "",
        "## Why the others stay",
        "",
        "| times | reason |",
        "| ---: | --- |",
        *(f"| {n} | {reason} |" for reason, n in sum((r.refused for r in rows), Counter()).most_common()),
    ]
    if failed:
        lines += ["", "## Not built or not run", "", *(f"- {n}: {why}" for n, why in failed.items())]
    return "\n".join(lines) + "\n"


def swept(names: list[str], said: Callable[[str], Any] = print) -> tuple[list[Row], dict[str, str]]:
    """All rows, and the models that cannot be built or run here with what they say."""
    rows, failed = [], {}
    for name in names:
        try:
            rows.append(row(name))
            said(str(rows[-1]))
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            said(f"{name} {failed[name]}")
    return rows, failed


if __name__ == "__main__":
    torch.set_num_threads(1)
    chosen = sys.argv[1:]
    found = swept(chosen or FAMILIES)
    if not chosen:
        PAGE.write_text(table(*found), encoding="utf-8")
