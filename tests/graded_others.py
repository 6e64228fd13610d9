# type: ignore
# ruff: noqa: RUF059 - a shape is unpacked whole, as people write it
"""More implementations in NumPy: the other methods, backward passes, and ones that are wrong in ways nobody knows."""

from __future__ import annotations

import numpy as np

from grading import planted, right

# Layer and RMS normalization -----------------------------------------------------------------------------------------


@right("ln", backward="layer_backward")
def layer(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    mu = x.mean(axis=1, keepdims=True)
    std = np.sqrt(x.var(axis=1, keepdims=True) + eps)
    hat = (x - mu) / std
    return gamma * hat + beta, (hat, gamma, std)


def layer_backward(dout, cache):
    hat, gamma, std = cache
    d = dout * gamma
    dx = (d - d.mean(1, keepdims=True) - hat * (d * hat).mean(1, keepdims=True)) / std
    return dx, np.sum(dout * hat, 0), np.sum(dout, 0)


@right("ln")
def tokens(x, weight=None, bias=None, eps=1e-5):
    d = x - x.mean(-1, keepdims=True)
    y = d / np.sqrt(np.square(d).mean(-1, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@right("ln")
def transposed(x, gamma, beta, eps=1e-5):
    z = x.T
    z = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + eps)
    return gamma * z.T + beta


@right("ln:over=sample")
def whole_sample(x, eps=1e-5):
    rows = x.reshape(len(x), -1)
    rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + eps)
    return rows.reshape(x.shape)


@right("ln")
def channels_first(x, weight, bias, eps=1e-6):
    u = x.mean(1, keepdims=True)
    s = ((x - u) ** 2).mean(1, keepdims=True)
    return weight[:, None, None] * ((x - u) / np.sqrt(s + eps)) + bias[:, None, None]


@planted("ln", "wrong_axis")
def features_of_the_batch(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta


@planted("ln", "wrong_axis")
def over_tokens_too(x, gamma, beta, eps=1e-5):
    n, t, d = x.shape
    m, v = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
    return gamma * (x - m) / np.sqrt(v + eps) + beta


@planted("ln", "sample_variance")
def layer_sample(x, gamma, beta, eps=1e-5):
    rows = []
    for row in x:
        m = sum(row) / len(row)
        v = sum((a - m) ** 2 for a in row) / (len(row) - 1)
        rows.append(gamma * (row - m) / (v + eps) ** 0.5 + beta)
    return np.stack(rows)


@planted("ln", "eps_outside_root", "sample_variance")
def annotated(x, a_2=1, b_2=0, eps=1e-6):
    mean, std = x.mean(-1, keepdims=True), x.std(-1, keepdims=True, ddof=1)
    return (x - mean) / (std + eps)


@right("rms")
def rms(x, g, eps=1e-5):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps) * g


@planted("rms", "mean_subtracted")
def rms_centred(x, g, eps=1e-5):
    x = x - x.mean(-1, keepdims=True)
    return g * x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)


@planted("rms", "one_plus_weight")
def gemma(x, weight, eps=1e-5):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * (1 + weight)


@planted("rms", "sum_not_mean")
def rms_summed(x, weight, eps=1e-5):
    return weight * x / np.sqrt(np.einsum("...c,...c->...", x, x)[..., None] + eps)


@planted("rms", "variance_not_root")
def rms_square(x, weight, eps=1e-5):
    return weight * x / (np.mean(x**2, -1, keepdims=True) + eps)


@planted("rms", "eps_outside_root")
def rms_outside(x, weight, eps=1e-5):
    return weight * x / (np.sqrt(np.mean(x**2, -1, keepdims=True)) + eps)


# Instance and group normalization ------------------------------------------------------------------------------------


@right("in")
def instance(x, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    y = np.empty_like(x)
    for i in range(n):
        for j in range(c):
            plane = x[i, j]
            y[i, j] = gamma[j] * (plane - plane.mean()) / np.sqrt(plane.var() + eps) + beta[j]
    return y


@planted("in", "wrong_axis")
def instance_over_the_batch(x, gamma, beta, eps=1e-5):
    m, v = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return gamma[None, :, None, None] * (x - m) / np.sqrt(v + eps) + beta[None, :, None, None]


@planted("in", "wrong_axis")
def instance_rows(x, gamma, beta, eps=1e-5):
    m, v = x.mean(3, keepdims=True), x.var(3, keepdims=True)
    return gamma[None, :, None, None] * (x - m) / np.sqrt(v + eps) + beta[None, :, None, None]


@right("gn")
def group(x, gamma, beta, G, gn_param):
    eps = gn_param.get("eps", 1e-5)
    n, c, h, w = x.shape
    z = x.reshape(n * G, -1).T
    z = ((z - z.mean(0)) / np.sqrt(z.var(0) + eps)).T.reshape(n, c, h, w)
    return gamma * z + beta, None


@right("gn")
def group_by_slices(x, weight, bias, num_groups=2, eps=1e-5):
    parts = np.split(x, num_groups, axis=1)
    axes = tuple(range(1, x.ndim))
    y = np.concatenate([(p - p.mean(axes, keepdims=True)) / np.sqrt(p.var(axes, keepdims=True) + eps) for p in parts], 1)
    s = (1, -1) + (1,) * (x.ndim - 2)
    return y * weight.reshape(s) + bias.reshape(s)


@right("gn:groups=4")
def group_of_four(x):
    z = x.reshape(x.shape[0], 4, -1)
    return ((z - z.mean(2, keepdims=True)) / np.sqrt(z.var(2, keepdims=True) + 1e-5)).reshape(x.shape)


@right("gn", conventions=["groups_fixed"])
def group_of_two(x):
    z = x.reshape(x.shape[0], 2, -1)
    return ((z - z.mean(2, keepdims=True)) / np.sqrt(z.var(2, keepdims=True) + 1e-5)).reshape(x.shape)


@planted("gn", "groups_interleaved")
def group_interleaved(x, gamma, beta, groups, eps=1e-5):
    y = np.empty_like(x)
    for k in range(groups):
        z = x[:, k::groups]
        axes = tuple(range(1, x.ndim))
        y[:, k::groups] = (z - z.mean(axes, keepdims=True)) / np.sqrt(z.var(axes, keepdims=True) + eps)
    s = (1, -1) + (1,) * (x.ndim - 2)
    return gamma.reshape(s) * y + beta.reshape(s)


@planted("gn", "wrong_axis")
def group_over_the_batch(x, gamma, beta, groups, eps=1e-5):
    n, c, h, w = x.shape
    z = x.reshape(n, groups, c // groups, h, w)
    z = (z - z.mean((0, 2, 3, 4), keepdims=True)) / np.sqrt(z.var((0, 2, 3, 4), keepdims=True) + eps)
    return gamma.reshape(1, c, 1, 1) * z.reshape(x.shape) + beta.reshape(1, c, 1, 1)


@planted("gn", "wrong_axis", "eps_outside_root")
def group_of_pixels(x, gamma, beta, groups, eps=1e-5):
    n, c, h, w = x.shape
    z = x.reshape(n, groups, c // groups, h, w)
    z = (z - z.mean(2, keepdims=True)) / (z.std(2, keepdims=True) + eps)
    return gamma.reshape(1, c, 1, 1) * z.reshape(x.shape) + beta.reshape(1, c, 1, 1)


# The others ----------------------------------------------------------------------------------------------------------


@right("n (g [c]) [...]:g=4")
def by_notation(x, eps=1e-5):
    z = x.reshape(x.shape[0], 4, -1)
    return ((z - z.mean(2, keepdims=True)) / np.sqrt(z.var(2, keepdims=True) + eps)).reshape(x.shape)


@right("unit")
def unit(x, eps=1e-12):
    flat = x.reshape(len(x), -1)
    return (flat / np.maximum(np.sqrt((flat**2).sum(1, keepdims=True)), eps)).reshape(x.shape)


@planted("unit", "another_length")
def unit_by_sum(x, eps=1e-12):
    flat = x.reshape(len(x), -1)
    return (flat / np.maximum(np.abs(flat).sum(1, keepdims=True), eps)).reshape(x.shape)


@planted("unit", "mean_not_sum")
def unit_by_mean(x, eps=1e-12):
    flat = x.reshape(len(x), -1)
    return (flat / np.maximum(np.sqrt((flat**2).mean(1, keepdims=True)), eps)).reshape(x.shape)


@right("wn")
def weight(v, g):
    return np.array([g[k] * v[k] / np.linalg.norm(v[k]) for k in range(len(v))], v.dtype)


@planted("wn", "wrong_axis")
def weight_as_a_whole(v, g):
    return g.reshape((-1,) + (1,) * (v.ndim - 1)) * v / np.sqrt((v * v).sum())


@planted("wn", "missing_weight")
def weight_without_length(v, g):
    return v / np.sqrt((v * v).sum(axis=tuple(range(1, v.ndim)), keepdims=True))


@right("film")
def film(x, gamma, beta):
    extra = (1,) * (x.ndim - 2)
    return gamma.reshape(gamma.shape + extra) * x + beta.reshape(beta.shape + extra)


@planted("film", "weight_bias_swapped")
def film_swapped(x, gamma, beta):
    extra = (1,) * (x.ndim - 2)
    return beta.reshape(gamma.shape + extra) * x + gamma.reshape(beta.shape + extra)


@planted("film", "one_plus_weight")
def film_residual(x, gamma, beta):
    extra = (1,) * (x.ndim - 2)
    return (1 + gamma.reshape(gamma.shape + extra)) * x + beta.reshape(beta.shape + extra)


def _window(x, size, alpha, beta, k, reach=None, divide=True):
    y = np.empty_like(x)
    before, after = reach or (size // 2, (size - 1) // 2)
    for c in range(x.shape[1]):
        energy = (x[:, max(0, c - before) : c + after + 1] ** 2).sum(axis=1)
        y[:, c] = x[:, c] / (k + alpha * energy / (size if divide else 1)) ** beta
    return y


@right("lrn")
def response(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    return _window(x, size, alpha, beta, k)


@planted("lrn", "alpha_not_divided")
def response_of_the_paper(a, size=5, alpha=1e-4, beta=0.75, k=2.0):
    return _window(a, size, alpha, beta, k, divide=False)


@planted("lrn", "window_off_by_one")
def response_short(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    return _window(x, size, alpha, beta, k, reach=(size // 2, size // 2 - 1))


@planted("lrn", "size_of_one_side")
def response_wide(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    return _window(x, size, alpha, beta, k, reach=(size, size))


@planted("lrn", "power_missing")
def response_without_power(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    return _window(x, size, alpha, 1.0, k)


@planted("lrn", "option_ignored")
def response_fixed(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    return _window(x, size, alpha, beta, 1.0)


@right("selu", backward="selu_backward")
def selu(x):
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu_backward(x, dy):
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return dy * scale * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


@planted("selu", "constants_rounded")
def selu_short(x):
    return 1.0507 * np.where(x > 0, x, 1.6733 * (np.exp(x) - 1))


@planted("selu", "scale_missing")
def selu_unscaled(x):
    return np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1))


@planted("selu", "constants_missing")
def elu(x):
    return np.where(x > 0, x, np.exp(x) - 1)


@right("sn")
def spectral(w, u, steps=1):
    rows = w.reshape(len(w), -1)
    v = rows.T @ u
    v = v / np.linalg.norm(v)
    for _ in range(steps):
        u = rows @ v
        u = u / np.linalg.norm(u)
        v = rows.T @ u
        v = v / np.linalg.norm(v)
    return w / (u @ rows @ v), u


@right("sn", conventions=["vector_not_renewed"])
def spectral_of_the_paper(w, u, steps=1):
    flat = w.reshape(w.shape[0], -1)
    for _ in range(steps):
        v = flat.T @ u / np.sqrt(((flat.T @ u) ** 2).sum())
        u = flat @ v / np.sqrt(((flat @ v) ** 2).sum())
    return w / np.einsum("o,oi,i", u, flat, v), u


@planted("sn", "frobenius_norm")
def spectral_frobenius(w, u, steps=1):
    return w / np.linalg.norm(w), u


# Wrong, but no mistake that is known ---------------------------------------------------------------------------------


@planted("bn", "unknown")
def median(x, gamma, beta, eps=1e-5):
    return gamma * (x - np.median(x, axis=0)) / np.sqrt(x.var(0) + eps) + beta


@planted("bn", "unknown")
def squashed(x, gamma, beta, eps=1e-5):
    return np.tanh(gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta)


@planted("ln", "unknown")
def shifted(x, gamma, beta, eps=1e-5):
    z = np.roll(x, 1, axis=0)
    return gamma * (x - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + eps) + beta


@planted("bn", "unknown")
def half_of_it(x, gamma, beta, eps=1e-5):
    return 0.5 * (gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta)


@planted("bn", "unknown")
def min_max(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.min(0)) / (x.max(0) - x.min(0) + eps) + beta


@planted("rms", "unknown")
def cubes(x, g, eps=1e-5):
    return g * x / (np.mean(np.abs(x) ** 3, -1, keepdims=True) + eps) ** (1 / 3)


@planted("lrn", "unknown")
def along_the_batch(x, size=5, alpha=1e-4, beta=0.75, k=1.0):
    return x / (k + alpha * (x**2).mean(0)) ** beta


@planted("bn", "unknown")
def noise(x, gamma, beta, eps=1e-5):
    rng = np.random.default_rng(0)
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta + 1e-3 * rng.standard_normal(x.shape).astype(x.dtype)


@right("sn")
def spectral_exact(w):
    return w / np.linalg.svd(w.reshape(len(w), -1), compute_uv=False)[0]
