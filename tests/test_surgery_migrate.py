"""`migrate_reparam`: checkpoints of torch's old weight and spectral normalization load into the new, and back."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations

import normlab as nl
from foreign import transformers
from normlab.errors import ReadWriteError, UsageError

torch.set_num_threads(1)

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")

Join = Callable[..., nn.Module]
OLD: dict[str, Join] = {"weight": nn.utils.weight_norm, "spectral": nn.utils.spectral_norm}
NEW: dict[str, Join] = {"weight": parametrizations.weight_norm, "spectral": parametrizations.spectral_norm}
# By name: a host, its input, and the arguments of joining.
HOSTS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], dict[str, Any]]] = {
    "dense": (lambda: nn.Linear(5, 4), (3, 5), {}),
    "convolution": (lambda: nn.Conv2d(3, 4, 3, groups=1), (2, 3, 6, 6), {}),
    "transposed convolution": (lambda: nn.ConvTranspose1d(3, 4, 3), (2, 3, 6), {}),
    "along another axis": (lambda: nn.Conv1d(3, 4, 3), (2, 3, 6), {"dim": 2}),
    "three axes, called by name": (lambda: nn.Bilinear(3, 3, 4), (2, 3), {"name": "weight"}),
}
every_host = pytest.mark.parametrize("host", HOSTS)
every_kind = pytest.mark.parametrize("kind", OLD)


def joined(kind: str, join: Join, host: str, seed: int) -> nn.Module:
    make, _, how = HOSTS[host]
    torch.manual_seed(seed)
    layer = join(make(), **how)
    return nn.Sequential(nn.Identity(), layer)


def output(model: nn.Module, host: str) -> torch.Tensor:
    x = torch.randn(HOSTS[host][1], generator=torch.Generator().manual_seed(3))
    layer = model.eval()[1]
    return (layer(x, x) if isinstance(layer, nn.Bilinear) else layer(x)).detach()


def trained(kind: str, host: str) -> nn.Module:
    """An old one whose state is no longer that of the start."""
    model = joined(kind, OLD[kind], host, 0)
    for p in model.parameters():
        nn.init.normal_(p)
    x = torch.randn(HOSTS[host][1])
    for _ in range(3):
        model[1](x, x) if isinstance(model[1], nn.Bilinear) else model(x)
    return model


@every_kind
@every_host
def test_an_old_checkpoint_loads_into_a_new_model_of_the_same_function(kind: str, host: str) -> None:
    old, new = trained(kind, host), joined(kind, NEW[kind], host, 1)
    state = nl.migrate_reparam(old.state_dict())
    assert len(state.changed) == 1 and not state.refused, str(state)
    assert set(state) == set(new.state_dict())
    new.load_state_dict(state)
    torch.testing.assert_close(output(new, host), output(old, host))


@every_kind
@every_host
def test_a_new_checkpoint_loads_into_an_old_model_of_the_same_function(kind: str, host: str) -> None:
    old, new = trained(kind, host), joined(kind, NEW[kind], host, 1)
    new.load_state_dict(nl.migrate_reparam(old.state_dict()))
    other = joined(kind, OLD[kind], host, 2)
    other.load_state_dict(nl.migrate_reparam(new.state_dict(), back=True))
    torch.testing.assert_close(output(other, host), output(new, host))


@every_kind
def test_there_and_back_is_the_same_state_dict(kind: str) -> None:
    state = trained(kind, "dense").state_dict()
    there = nl.migrate_reparam(state)
    back = nl.migrate_reparam(there, back=True)
    assert list(back) == list(state) and all(back[k] is a for k, a in state.items())
    assert list(there.values()) == list(state.values()) or all(a is b for a, b in zip(there.values(), state.values(), strict=True))
    assert nl.migrate_reparam(there).changed == () and list(nl.migrate_reparam(there)) == list(there)
    assert there._metadata is state._metadata and "by hooks -> " in str(there)


@pytest.mark.parametrize("kind", ["weight", "spectral"])
def test_ours_take_it_too(kind: str) -> None:
    old = trained(kind, "dense")
    torch.manual_seed(1)
    ours = nn.Sequential(nn.Identity(), getattr(nl.torch, f"{kind}_norm")(nn.Linear(5, 4)))
    ours.load_state_dict(nl.migrate_reparam(old.state_dict()))
    torch.testing.assert_close(output(ours, "dense"), output(old, "dense"))


def test_recurrent_weights_of_any_name_are_found() -> None:
    old, new = nn.LSTM(3, 4), nn.LSTM(3, 4)
    for name in ("weight_hh_l0", "weight_ih_l0"):
        nn.utils.weight_norm(old, name)
        parametrizations.weight_norm(new, name)
    new.load_state_dict(nl.migrate_reparam(old.state_dict()))
    torch.testing.assert_close(new.weight_hh_l0, old.weight_hh_l0)


def test_a_checkpoint_of_wav2vec2_from_before_is_what_today_s_model_takes() -> None:
    """Its position embedding has a gain along the last axis; checkpoints hold weight_g and weight_v."""
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "conv_dim": (8,), "conv_stride": (5,),
             "conv_kernel": (10,), "num_feat_extract_layers": 1, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}  # fmt: skip
    torch.manual_seed(0)
    model = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**small)).eval()
    state = model.state_dict()
    older = nl.migrate_reparam(state, back=True)
    assert {k for k in older if "pos_conv" in k and "weight" in k} == {f"encoder.pos_conv_embed.conv.weight_{x}" for x in "gv"}
    torch.manual_seed(1)
    other = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**small)).eval()
    other.load_state_dict(nl.migrate_reparam(older))
    x = torch.randn(1, 400)
    torch.testing.assert_close(other(x).last_hidden_state, model(x).last_hidden_state)


def test_what_is_only_called_so_is_left_alone_with_the_reason() -> None:
    state = {
        "gate.weight_g": torch.ones(4, 4), "gate.weight_v": torch.ones(4, 4), "lone.weight_g": torch.ones(4, 1),
        "early.weight_orig": torch.ones(4, 3), "early.weight_u": torch.ones(4), "twice.weight_g": torch.ones(4, 1),
        "twice.weight_v": torch.ones(4, 3), "twice.parametrizations.weight.original0": torch.ones(4, 1),
        "odd.weight_orig": torch.ones(4, 3), "odd.weight_u": torch.ones(5), "odd.weight_v": torch.ones(3), 3: torch.ones(1),
    }  # fmt: skip
    made = nl.migrate_reparam(state)  # type: ignore[arg-type]
    assert list(made) == list(state) and not made.changed
    reasons = {r.path: r.reason for r in made.refused}
    assert reasons["gate.weight"] == "shapes (4, 4) and (4, 4) are not those of a gain and its weight"
    assert "lone.weight_v is not there" in reasons["lone.weight"] and "early.weight_v is not there" in reasons["early.weight"]
    assert "twice.parametrizations.weight.original0 is there already" in reasons["twice.weight"]
    assert reasons["odd.weight"] == "shapes (4, 3), (5,), (3,) are not those of a weight and its two vectors"
    more = nn.Sequential(parametrizations.spectral_norm(parametrizations.weight_norm(nn.Linear(3, 4))), parametrizations.orthogonal(nn.Linear(3, 3)))
    back = nl.migrate_reparam(more.state_dict(), back=True)
    assert list(back) == list(more.state_dict()) and len(back.refused) == 2


def test_dicts_within_a_checkpoint_are_gone_through() -> None:
    old = trained("weight", "dense")
    optimizer = torch.optim.SGD(old.parameters(), 0.1)
    checkpoint = {"generator": old.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    made = nl.migrate_reparam(checkpoint)
    assert made["epoch"] == 3 and made["optimizer"] is checkpoint["optimizer"]
    assert [c.path for c in made.changed] == ["generator/1.weight"]
    new = joined("weight", NEW["weight"], "dense", 1)
    new.load_state_dict(made["generator"])
    torch.testing.assert_close(output(new, "dense"), output(old, "dense"))


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_files_are_read_and_what_is_written_is_plain(tmp_path: Path, suffix: str) -> None:
    old, path = trained("spectral", "dense"), tmp_path / f"old.{suffix}"
    state = old.state_dict()
    save_file({k: a.clone() for k, a in state.items()}, path) if suffix == "safetensors" else torch.save(state, path)
    made = nl.migrate_reparam(path)
    expected = nl.migrate_reparam(state)
    assert set(made) == set(expected) and all(torch.equal(made[k], a) for k, a in expected.items())
    torch.save(made, tmp_path / "new.pt")
    again = torch.load(tmp_path / "new.pt", weights_only=True)  # nothing of normlab is in it
    assert type(again) is OrderedDict and list(again) == list(made)
    assert again._metadata == made._metadata if suffix == "pt" else not hasattr(made, "_metadata")


class Runs:
    """What a malicious checkpoint holds."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("was run",)


def test_nothing_in_a_file_is_ever_run(folder: Path) -> None:
    torch.save({"weight_g": torch.ones(2, 1), "more": Runs()}, "bad.pt")
    Path("worse.pt").write_bytes(pickle.dumps(Runs()))
    for name in ("bad.pt", "worse.pt"):
        with pytest.raises(UsageError, match=rf"{name} holds more than arrays and plain containers.*torch.save\(model.state_dict\(\), path\)"):
            nl.migrate_reparam(name)
    assert not Path("was run").exists()


def test_what_cannot_be_read_is_said(folder: Path) -> None:
    with pytest.raises(ReadWriteError, match=r"none.pt cannot be read: No such file"):
        nl.migrate_reparam("none.pt")
    with pytest.raises(ReadWriteError, match=r"none.safetensors cannot be read"):
        nl.migrate_reparam(folder / "none.safetensors")
    Path("short.safetensors").write_bytes(b"\x07")
    with pytest.raises(ReadWriteError, match=r"short.safetensors is no checkpoint that can be read"):
        nl.migrate_reparam("short.safetensors")
    for content in (b"", b"PK\x03\x04 and no more"):
        Path("short.pt").write_bytes(content)
        with pytest.raises((ReadWriteError, UsageError), match=r"short.pt (is no checkpoint|holds more)"):
            nl.migrate_reparam("short.pt")
    torch.save([torch.ones(2)], "list.pt")
    with pytest.raises(UsageError, match=r"state must be a state dict or the path of one, got list"):
        nl.migrate_reparam("list.pt")
    with pytest.raises(UsageError, match=r"got Linear. Of a model: model.state_dict\(\)"):
        nl.migrate_reparam(nn.Linear(2, 2))  # type: ignore[arg-type]
