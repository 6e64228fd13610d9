# type: ignore
# ruff: noqa: RUF059 - a shape is unpacked whole, as people write it
"""Implementations in NumPy as people write them, right ones and ones with a planted mistake: `CASES` lists them.

Each is written in its own way (loops, einsum, other names, a course's dictionary, classes), so that a mistake is named
for what it computes and not for how it is spelled.
"""

from __future__ import annotations

import math

import numpy as np

from grading import CASES as CASES
from grading import planted, right

# Batch normalization -------------------------------------------------------------------------------------------------


@right("bn")
def plain(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=0)
    var = x.var(axis=0)
    return gamma * (x - mu) / np.sqrt(var + eps) + beta


@right("bn")
def without_weights(x):
    return (x - np.mean(x, axis=0)) / np.sqrt(np.var(x, axis=0) + 1e-5)


@right("bn", conventions=["another_eps"])
def with_an_eps_of_its_own(batch, scale, shift):
    centred = batch - batch.mean(0)
    return scale * centred / np.sqrt((centred**2).mean(0) + 1e-7) + shift


@right("bn")
def any_rank(x, weight, bias, running_mean, running_var, training=True, momentum=0.1, eps=1e-5):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    axes = (0, *range(2, x.ndim))
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean(axes), x.var(axes)
        m = x.size / x.shape[1]
        running_mean[...] = (1 - momentum) * running_mean + momentum * mean
        running_var[...] = (1 - momentum) * running_var + momentum * var * m / (m - 1)
    z = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + eps)
    return weight.reshape(shape) * z + bias.reshape(shape)


@right("bn")
def with_loops(x, g, b, epsilon=1e-5):
    n, d = x.shape
    y = np.empty_like(x)
    for j in range(d):
        total = 0.0
        for i in range(n):
            total += x[i, j]
        m = total / n
        squares = 0.0
        for i in range(n):
            squares += (x[i, j] - m) ** 2
        for i in range(n):
            y[i, j] = g[j] * (x[i, j] - m) / math.sqrt(squares / n + epsilon) + b[j]
    return y


@right("bn", backward="course_backward", conventions=["momentum_weighs_old", "running_variance_biased"])
def course(x, gamma, beta, bn_param):
    mode = bn_param["mode"]
    eps = bn_param.get("eps", 1e-5)
    momentum = bn_param.get("momentum", 0.9)
    n, d = x.shape
    running_mean = bn_param.get("running_mean", np.zeros(d, dtype=x.dtype))
    running_var = bn_param.get("running_var", np.zeros(d, dtype=x.dtype))
    out, cache = None, None
    if mode == "train":
        mu = x.mean(axis=0)
        var = x.var(axis=0)
        std = np.sqrt(var + eps)
        hat = (x - mu) / std
        out = gamma * hat + beta
        running_mean = momentum * running_mean + (1 - momentum) * mu
        running_var = momentum * running_var + (1 - momentum) * var
        cache = (hat, gamma, std)
    elif mode == "test":
        out = gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
    else:
        raise ValueError(f'invalid forward mode "{mode}"')
    bn_param["running_mean"] = running_mean
    bn_param["running_var"] = running_var
    return out, cache


def course_backward(dout, cache):
    hat, gamma, std = cache
    dbeta = dout.sum(axis=0)
    dgamma = (dout * hat).sum(axis=0)
    n = dout.shape[0]
    dx = gamma / std / n * (n * dout - dbeta - hat * dgamma)
    return dx, dgamma, dbeta


@right("bn", conventions=["momentum_weighs_old", "running_variance_biased", "another_eps"])
class FromTheBook:
    """With the gradients in attributes, the running statistics made at the first call, and a flag in the call."""

    def __init__(self, gamma, beta, momentum=0.9, running_mean=None, running_var=None):
        self.gamma, self.beta, self.momentum = gamma, beta, momentum
        self.running_mean, self.running_var = running_mean, running_var
        self.batch_size = self.xc = self.std = self.dgamma = self.dbeta = None

    def forward(self, x, train_flg=True):
        if self.running_mean is None:
            self.running_mean, self.running_var = np.zeros(x.shape[1]), np.zeros(x.shape[1])
        if train_flg:
            mu = x.mean(axis=0)
            xc = x - mu
            var = np.mean(xc**2, axis=0)
            std = np.sqrt(var + 10e-7)
            xn = xc / std
            self.batch_size, self.xc, self.xn, self.std = x.shape[0], xc, xn, std
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        else:
            xn = (x - self.running_mean) / np.sqrt(self.running_var + 10e-7)
        return self.gamma * xn + self.beta

    def backward(self, dout):
        dbeta = dout.sum(axis=0)
        dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum(dxn * self.xc / (self.std * self.std), axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += 2.0 / self.batch_size * self.xc * dvar
        dmu = np.sum(dxc, axis=0)
        self.dgamma, self.dbeta = dgamma, dbeta
        return dxc - dmu / self.batch_size


@right("bn")
def channels_last(x, gamma, beta, eps=1e-5):
    axes = tuple(range(x.ndim - 1))
    return gamma * (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes) + eps) + beta


@right("bn")
def images_only(x, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    flat = x.transpose(0, 2, 3, 1).reshape(-1, c)
    flat = gamma * (flat - flat.mean(0)) / np.sqrt(flat.var(0) + eps) + beta
    return flat.reshape(n, h, w, c).transpose(0, 3, 1, 2)


@right("bn", conventions=["running_variance_biased"])
class Layer:
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.weight, self.bias = np.ones(num_features), np.zeros(num_features)
        self.running_mean, self.running_var = np.zeros(num_features), np.ones(num_features)

    def __call__(self, x):
        w, b = self.weight.astype(x.dtype), self.bias.astype(x.dtype)
        m, v = self.running_mean.astype(x.dtype), self.running_var.astype(x.dtype)
        if self.training:
            m, v = x.mean(0), x.var(0)
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * m
            self.running_var = (1 - self.momentum) * self.running_var + self.momentum * v
        return w * (x - m) / np.sqrt(v + self.eps) + b


@planted("bn", "no_parentheses")
def brackets_one(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(0) / np.sqrt(x.var(0) + eps)) + beta


@planted("bn", "no_parentheses")
def brackets_two(x, scale, shift, epsilon=1e-3):
    m = np.sum(x, axis=0, keepdims=True) / x.shape[0]
    s = np.sqrt(np.sum((x - m) ** 2, axis=0, keepdims=True) / x.shape[0] + epsilon)
    return scale * x - m / s + shift


@planted("bn", "no_parentheses", "eps_missing")
def brackets_of_the_note(x):
    return x - np.mean(x, axis=0) / np.std(x, axis=0)


@planted("bn", "wrong_axis")
def samples_for_features(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + eps) + beta


@planted("bn", "wrong_axis")
def over_everything(x, w, b, eps=1e-5):
    return w * (x - np.mean(x)) / np.sqrt(np.var(x) + eps) + b


@planted("bn", "wrong_axis")
def variance_over_everything(x, w, b, eps=1e-5):
    return w * (x - np.mean(x, axis=0)) / np.sqrt(np.var(x) + eps) + b


@planted("bn", "wrong_axis")
def positions_apart(x, weight, bias, eps=1e-5):
    s = (1, -1) + (1,) * (x.ndim - 2)
    return weight.reshape(s) * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + bias.reshape(s)


@planted("bn", "variance_not_root")
def squared(x, gamma, beta, eps=1e-5):
    d = x - np.einsum("nc->c", x) / len(x)
    return gamma * d / (np.einsum("nc,nc->c", d, d) / len(x) + eps) + beta


@planted("bn", "variance_not_root", "eps_missing")
def squared_without_eps(x, gamma, beta):
    return gamma * (x - x.mean(0)) / x.var(0) + beta


@planted("bn", "eps_outside_root")
def outside(x, gamma, beta, eps=1e-5):
    return gamma * ((x - x.mean(axis=0)) / (np.std(x, axis=0) + eps)) + beta


@planted("bn", "eps_outside_root")
def outside_and_fixed(x):
    return (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-8)


@planted("bn", "sample_variance")
def sample(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(0)) / np.sqrt(np.var(x, axis=0, ddof=1) + eps) + beta


@planted("bn", "sample_variance", "eps_outside_root")
def sample_outside(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(0)) / (np.std(x, axis=0, ddof=1) + eps) + beta


@planted("bn", "eps_missing")
def no_eps(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(0)) / x.std(0) + beta


@planted("bn", "missing_weight")
def no_weight(x, gamma, beta, eps=1e-5):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta


@planted("bn", "missing_bias")
def no_bias(x, gamma, beta, eps=1e-5):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + eps) * gamma


@planted("bn", "missing_weight", "missing_bias")
def neither(x, gamma, beta, eps=1e-5):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + eps)


@planted("bn", "weight_bias_swapped")
def swapped(x, gamma, beta, eps=1e-5):
    return beta * ((x - x.mean(0)) / np.sqrt(x.var(0) + eps)) + gamma


@planted("bn", "bias_before_scale")
def early_bias(x, gamma, beta, eps=1e-5):
    return gamma * ((x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta)


@planted("bn", "mean_not_subtracted")
def no_mean(x, gamma, beta, eps=1e-5):
    return gamma * x / np.sqrt(x.var(0) + eps) + beta


@planted("bn", "square_not_centred")
def second_moment(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(0)) / np.sqrt((x**2).mean(0) + eps) + beta


@planted("bn", "sum_not_mean")
def summed(x, gamma, beta, eps=1e-5):
    d = x - x.mean(0)
    return gamma * d / np.sqrt(np.sum(d**2, axis=0) + eps) + beta


@planted("bn", "root_twice")
def two_roots(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(0)) / np.sqrt(np.sqrt(x.var(0) + eps)) + beta


@planted("bn", "not_divided")
def only_centred(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(0)) + beta


@planted("bn", "multiplied")
def times(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(0)) * np.sqrt(x.var(0) + eps) + beta


@planted("bn", "absolute_deviation")
def mad(x, gamma, beta, eps=1e-5):
    d = x - x.mean(0)
    return gamma * d / np.sqrt(np.abs(d).mean(0) ** 2 + eps) + beta


@planted("bn", "one_pass_variance")
def one_pass(x, gamma, beta, eps=1e-5):
    m = x.mean(0)
    return gamma * (x - m) / np.sqrt(np.maximum((x * x).mean(0) - m * m, 0) + eps) + beta


@planted("bn", "input_changed")
def in_place(x, gamma, beta, eps=1e-5):
    x -= x.mean(0)
    x /= np.sqrt((x**2).mean(0) + eps)
    return gamma * x + beta


@planted("bn", "wrong_dtype")
def widening(x, gamma, beta, eps=1e-5):
    y = np.zeros(x.shape)
    y[:] = gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta
    return y


@planted("bn", "single_precision")
def narrowing(x, gamma, beta, eps=1e-5):
    z = x.astype(np.float32)
    z = gamma * (z - z.mean(0)) / np.sqrt(z.var(0) + eps) + beta
    return z.astype(x.dtype)


@planted("bn", "eps_outside_root")
class LayerWithMistake:
    def __init__(self, dim, eps=1e-5):
        self.gamma, self.beta, self.eps = np.ones(dim), np.zeros(dim), eps

    def forward(self, inputs):
        z = (inputs - inputs.mean(0)) / (inputs.std(0) + self.eps)
        return self.gamma.astype(inputs.dtype) * z + self.beta.astype(inputs.dtype)


@planted("bn", "raises", "wrong_axis")
def other_axis_without_keepdims(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(axis=1)) / np.sqrt(x.var(axis=1) + eps) + beta


@planted("ln", "raises", "keepdims_missing")
def layer_without_keepdims(x, gamma, beta, eps=1e-5):
    mean, var = x.mean(axis=-1), x.var(axis=-1)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


@planted("rms", "raises", "keepdims_missing")
def rms_without_keepdims(x, weight, eps=1e-5):
    return weight * x / np.sqrt(np.mean(x**2, axis=-1) + eps)
