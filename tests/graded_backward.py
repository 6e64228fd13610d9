# type: ignore
# ruff: noqa: RUF059 - a shape is unpacked whole, as people write it
"""Backward passes with planted mistakes, and torch's: statistics that were detached, modules, functions."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from grading import planted, right


def forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=0)
    root = np.sqrt(x.var(axis=0) + eps)
    hat = (x - mu) / root
    return gamma * hat + beta, (x, hat, gamma, root)


def _named(name):
    """The forward under another name, for another backward."""

    def same(x, gamma, beta, eps=1e-5):
        return forward(x, gamma, beta, eps)

    same.__name__ = same.__qualname__ = name
    return same


def _sums(dy, hat):
    return (dy * hat).sum(0), dy.sum(0)


def right_backward(dy, cache):
    x, hat, gamma, root = cache
    g = gamma * dy
    dx = (g - g.mean(0) - hat * (g * hat).mean(0)) / root
    return {"dx": dx, "dgamma": _sums(dy, hat)[0], "dbeta": _sums(dy, hat)[1]}


def in_another_order(dout, cache):
    found = right_backward(dout, cache)
    return found["dx"], found["dbeta"], found["dgamma"]


def by_arguments(dy, x, gamma, eps=1e-5):
    return right_backward(dy, forward(x, gamma, 0, eps)[1])["dx"]


def constants(dy, cache):
    x, hat, gamma, root = cache
    return gamma * dy / root, *_sums(dy, hat)


def constant_variance(dy, cache):
    x, hat, gamma, root = cache
    g = gamma * dy
    return (g - g.mean(0)) / root, *_sums(dy, hat)


def constant_mean(dy, cache):
    x, hat, gamma, root = cache
    g = gamma * dy
    return (g - hat * (g * hat).mean(0)) / root, *_sums(dy, hat)


def without_weight(dy, cache):
    x, hat, gamma, root = cache
    return (dy - dy.mean(0) - hat * (dy * hat).mean(0)) / root, *_sums(dy, hat)


def sums(dy, cache):
    x, hat, gamma, root = cache
    g = gamma * dy
    return (g - g.sum(0) - hat * (g * hat).sum(0)) / root, *_sums(dy, hat)


def sign(dy, cache):
    x, hat, gamma, root = cache
    g = gamma * dy
    return (g - g.mean(0) + hat * (g * hat).mean(0)) / root, *_sums(dy, hat)


def not_divided(dy, cache):
    x, hat, gamma, root = cache
    g = gamma * dy
    return g - g.mean(0) - hat * (g * hat).mean(0), *_sums(dy, hat)


def not_summed(dy, cache):
    return right_backward(dy, cache)["dx"], dy * cache[1], dy


def averaged(dy, cache):
    return right_backward(dy, cache)["dx"], (dy * cache[1]).mean(0), dy.mean(0)


def of_raw_x(dy, cache):
    return right_backward(dy, cache)["dx"], (dy * cache[0]).sum(0), dy.sum(0)


def handed_on(dy, cache):
    return dy, *_sums(dy, cache[1])


def unknown_gradient(dy, cache):
    return right_backward(dy, cache)["dx"] ** 3, *_sums(dy, cache[1])


for backward, keys in {
    "right_backward": (), "in_another_order": (), "by_arguments": (),
    "constants": ("gradient_ignores_statistics",), "constant_variance": ("gradient_ignores_variance",),
    "constant_mean": ("gradient_ignores_mean",), "without_weight": ("gradient_without_weight",),
    "sums": ("gradient_sums_not_means",), "sign": ("gradient_sign",), "not_divided": ("gradient_not_divided",),
    "not_summed": ("gradient_not_summed",), "averaged": ("gradient_averaged",), "of_raw_x": ("gradient_of_raw_x",),
    "handed_on": ("gradient_is_dy",), "unknown_gradient": ("gradient_unknown",),
}.items():  # fmt: skip
    planted("bn", *keys, backward=backward)(_named(f"with_{backward}"))


@right("gn", backward="group_backward")
def group(x, gamma, beta, groups, eps=1e-5):
    z = x.reshape(len(x), groups, -1)
    root = np.sqrt(z.var(-1, keepdims=True) + eps)
    hat = (z - z.mean(-1, keepdims=True)) / root
    s = (1, -1) + (1,) * (x.ndim - 2)
    return gamma.reshape(s) * hat.reshape(x.shape) + beta.reshape(s), (hat, root, gamma)


def group_backward(dy, cache):
    hat, root, gamma = cache
    s = (1, -1) + (1,) * (dy.ndim - 2)
    others = (0, *range(2, dy.ndim))
    g = (dy * gamma.reshape(s)).reshape(hat.shape)
    dx = (g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True)) / root
    return dx.reshape(dy.shape), (dy * hat.reshape(dy.shape)).sum(others), dy.sum(others)


@planted("gn", "gradient_not_summed", backward="group_backward_of_the_batch")
def group_again(x, gamma, beta, groups, eps=1e-5):
    return group(x, gamma, beta, groups, eps)


def group_backward_of_the_batch(dy, cache):
    dx, _, _ = group_backward(dy, cache)
    return dx, (dy * cache[0].reshape(dy.shape)).sum(0), dy.sum(0)


@planted("bn", "gradient_ignores_statistics")
class HandWritten:
    def __init__(self, n_features, eps=1e-5):
        self.gamma, self.beta, self.eps = np.ones(n_features), np.zeros(n_features), eps

    def __call__(self, x):
        self.root = np.sqrt(x.var(0) + self.eps)
        self.hat = (x - x.mean(0)) / self.root
        return self.gamma.astype(x.dtype) * self.hat + self.beta.astype(x.dtype)

    def backward(self, grad):
        self.grads = {"gamma": (grad * self.hat).sum(0), "beta": grad.sum(0)}
        return grad * self.gamma / self.root


# torch ---------------------------------------------------------------------------------------------------------------


@right("ln")
def torch_layer(x, weight, bias, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


@right("bn")
def torch_batch(x, running_mean, running_var, weight, bias, training, momentum=0.1, eps=1e-5):
    return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


@right("gn")
def torch_group(x, weight, bias, groups):
    return F.group_norm(x, groups, weight, bias)


@right("lrn")
def torch_response(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    return F.local_response_norm(x, size, alpha, beta, k)


@right("rms")
class TorchRms(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


@planted("bn", "sample_variance")
def torch_default_variance(x, gamma, beta, eps=1e-5):
    mean, var = x.mean(dim=0), torch.var(x, dim=0)
    return gamma * (x - mean) / torch.sqrt(var + eps) + beta


@planted("bn", "gradient_ignores_statistics")
def torch_detached(x, gamma, beta, eps=1e-5):
    with torch.no_grad():
        var, mean = torch.var_mean(x, dim=0, unbiased=False)
    return gamma * (x - mean) / torch.sqrt(var + eps) + beta


@planted("ln", "gradient_ignores_variance")
def torch_half_detached(x, weight, bias, eps=1e-5):
    std = torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + eps).detach()
    return weight * (x - x.mean(-1, keepdim=True)) / std + bias


@planted("bn", "no_gradient")
def torch_cut_off(x, gamma, beta, eps=1e-5):
    a = x.detach().numpy()
    z = (a - a.mean(0)) / np.sqrt(a.var(0) + eps)
    return torch.from_numpy(z) * gamma.detach() + beta.detach()


@planted("ln", "no_parentheses")
class TorchLayer(nn.Module):
    def __init__(self, features, eps=1e-6):
        super().__init__()
        self.a = nn.Parameter(torch.ones(features))
        self.gamma = nn.Parameter(torch.ones(features))
        self.beta = nn.Parameter(torch.zeros(features))
        self.eps = eps

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        std = x.var(-1, keepdim=True, unbiased=False).add(self.eps).sqrt()
        return self.gamma * (x - mean / std) + self.beta


@planted("bn", "batch_statistics_in_evaluation", "running_statistics_not_updated")
class TorchForgetful(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(num_features)), nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.eps, self.momentum = eps, momentum

    def forward(self, x):
        var, mean = torch.var_mean(x, 0, unbiased=False)
        return self.weight * (x - mean) / (var + self.eps).sqrt() + self.bias


for made, method in (
    (nn.BatchNorm1d, "bn"), (nn.BatchNorm2d, "bn"), (nn.LayerNorm, "ln"), (nn.RMSNorm, "rms"), (nn.GroupNorm, "gn"),
    (nn.SELU, "selu"), (nn.LocalResponseNorm, "lrn"),
):  # fmt: skip
    right(method)(made)
