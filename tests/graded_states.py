# type: ignore
"""Running statistics in implementations: returned, changed in place, kept in an object; momentum of both kinds."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from grading import planted, right


def _states(x, gamma, beta, rm, rv, training, eps):
    m, v = (x.mean(0), x.var(0)) if training else (rm, rv)
    return gamma * (x - m) / np.sqrt(v + eps) + beta, m, v * (len(x) / (len(x) - 1) if training else 1)


@right("bn")
def returned(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    y, m, v = _states(x, gamma, beta, running_mean, running_var, training, eps)
    if not training:
        return y, running_mean, running_var
    return y, running_mean + momentum * (m - running_mean), running_var + momentum * (v - running_var)


@planted("bn", "momentum_reversed")
def old_for_new(x, gamma, beta, running_mean, running_var, training=True, momentum=0.1, eps=1e-5):
    y, m, v = _states(x, gamma, beta, running_mean, running_var, training, eps)
    if training:
        running_mean = momentum * running_mean + (1 - momentum) * m
        running_var = momentum * running_var + (1 - momentum) * v
    return y, running_mean, running_var


@planted("bn", "momentum_reversed_from_old")
def new_for_old(x, gamma, beta, running_mean, running_var, training=True, momentum=0.9, eps=1e-5):
    y, m, v = _states(x, gamma, beta, running_mean, running_var, training, eps)
    if training:
        running_mean[:] = (1 - momentum) * running_mean + momentum * m
        running_var[:] = (1 - momentum) * running_var + momentum * v
    return y


@planted("bn", "running_statistics_not_updated")
def never_moves(x, gamma, beta, moving_mean, moving_var, is_training=True, momentum=0.1, eps=1e-5):
    y, m, v = _states(x, gamma, beta, moving_mean, moving_var, is_training, eps)
    if is_training:
        moving_mean = (1 - momentum) * moving_mean + momentum * m
        moving_var = (1 - momentum) * moving_var + momentum * v
    return y


@planted("bn", "running_statistics_replaced")
def forgets(x, gamma, beta, running_mean, running_var, training=True, momentum=0.1, eps=1e-5):
    y, m, v = _states(x, gamma, beta, running_mean, running_var, training, eps)
    if training:
        running_mean[:], running_var[:] = m, v
    return y


@planted("bn", "momentum_ignored")
def fixed_momentum(x, gamma, beta, running_mean, running_var, training=True, momentum=0.1, eps=1e-5):
    y, m, v = _states(x, gamma, beta, running_mean, running_var, training, eps)
    if training:
        running_mean[:] = 0.99 * running_mean + 0.01 * m
        running_var[:] = 0.99 * running_var + 0.01 * v
    return y


@planted("bn", "running_root")
def deviation_kept(x, gamma, beta, running_mean, running_var, training=True, momentum=0.1, eps=1e-5):
    y, m, _ = _states(x, gamma, beta, running_mean, running_var, training, eps)
    if training:
        running_mean[:] = (1 - momentum) * running_mean + momentum * m
        running_var[:] = (1 - momentum) * running_var + momentum * x.std(0)
    return y


@planted("bn", "batch_statistics_in_evaluation")
def always_the_batch(x, gamma, beta, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    y, m, v = _states(x, gamma, beta, running_mean, running_var, True, eps)
    if mode == "train":
        running_mean[:] = (1 - momentum) * running_mean + momentum * m
        running_var[:] = (1 - momentum) * running_var + momentum * v
    return y


@planted("bn", "running_statistics_in_training")
def always_the_past(x, gamma, beta, running_mean, running_var, training=True, momentum=0.1, eps=1e-5):
    old = running_mean.copy(), running_var.copy()
    if training:
        running_mean[:] = (1 - momentum) * running_mean + momentum * x.mean(0)
        running_var[:] = (1 - momentum) * running_var + momentum * x.var(0, ddof=1)
    return gamma * (x - old[0]) / np.sqrt(old[1] + eps) + beta


@right("bn", conventions=["momentum_weighs_old", "running_variance_biased"])
def keras_style(inputs, gamma, beta, moving_mean, moving_variance, training=False, momentum=0.99, epsilon=1e-3):
    if not training:
        return gamma * (inputs - moving_mean) / np.sqrt(moving_variance + epsilon) + beta
    mean, variance = inputs.mean(0), inputs.var(0)
    moving_mean *= momentum
    moving_mean += (1 - momentum) * mean
    moving_variance *= momentum
    moving_variance += (1 - momentum) * variance
    return gamma * (inputs - mean) / np.sqrt(variance + epsilon) + beta


@right("bn", conventions=["running_variance_biased"])
def state_in_a_dictionary(x, gamma, beta, running_mean, running_var, mode, momentum=0.1, eps=1e-5):
    state = {"running_mean": running_mean, "running_var": running_var}
    if mode == "train":
        m, v = x.mean(0), x.var(0)
        state["running_mean"] = running_mean * (1 - momentum) + m * momentum
        state["running_var"] = running_var * (1 - momentum) + v * momentum
    elif mode == "eval":
        m, v = running_mean, running_var
    else:
        raise ValueError(mode)
    return gamma * (x - m) / np.sqrt(v + eps) + beta, state


@right("bn", conventions=["running_variance_biased"])
def by_grad_mode(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if not torch.is_grad_enabled():
        X_hat = (X - moving_mean) / torch.sqrt(moving_var + eps)
    else:
        if len(X.shape) == 2:
            mean = X.mean(dim=0)
            var = ((X - mean) ** 2).mean(dim=0)
        else:
            mean = X.mean(dim=(0, 2, 3), keepdim=True)
            var = ((X - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
        X_hat = (X - mean) / torch.sqrt(var + eps)
        moving_mean = (1.0 - momentum) * moving_mean + momentum * mean
        moving_var = (1.0 - momentum) * moving_var + momentum * var
    Y = gamma * X_hat + beta
    return Y, moving_mean.data, moving_var.data


@right("bn", conventions=["running_variance_biased"])
class ByGradMode(nn.Module):
    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma, self.beta = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.moving_mean, self.moving_var = torch.zeros(shape), torch.ones(shape)

    def forward(self, X):
        Y, self.moving_mean, self.moving_var = by_grad_mode(
            X, self.gamma, self.beta, self.moving_mean.to(X), self.moving_var.to(X), eps=1e-5, momentum=0.1
        )
        return Y


class _Base:
    """A layer that leaves to others how its running statistics move."""

    def __init__(self, channels, eps=1e-5, momentum=0.1):
        self.params = {"gamma": np.ones(channels), "beta": np.zeros(channels)}
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.eps, self.momentum = eps, momentum

    def update(self, mean, var):
        raise NotImplementedError

    def forward(self, x, training=True):
        shape = (1, -1) + (1,) * (x.ndim - 2)
        mean, var = self.running_mean.astype(x.dtype), self.running_var.astype(x.dtype)
        if training:
            axes = (0, *range(2, x.ndim))
            mean, var = x.mean(axes), x.var(axes)
            m = x.size // x.shape[1]
            self.update(mean, var * m / (m - 1))
        z = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + self.eps)
        gamma, beta = (self.params[n].astype(x.dtype).reshape(shape) for n in ("gamma", "beta"))
        return gamma * z + beta


@right("bn")
class InAnObject(_Base):
    def update(self, mean, var):
        self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
        self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var


@planted("bn", "momentum_reversed")
class ReversedInAnObject(_Base):
    def update(self, mean, var):
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
        self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var


@planted("bn", "running_statistics_not_updated")
class LostInAnObject(_Base):
    def update(self, mean, var):
        running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
        running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        return running_mean, running_var


@planted("bn", "batch_statistics_in_evaluation")
class TorchAlwaysBatch(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(num_features)), nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.eps, self.momentum = eps, momentum

    def forward(self, x):
        var, mean = torch.var_mean(x, 0, unbiased=False)
        if self.training:
            self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean.detach()
            self.running_var.mul_(1 - self.momentum).add_(self.momentum * torch.var(x, 0).detach())
        return self.weight * (x - mean) / (var + self.eps).sqrt() + self.bias


@planted("bn", "momentum_reversed", "eps_outside_root")
class TorchReversed(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(num_features)), nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.eps, self.momentum = eps, momentum

    def forward(self, x):
        shape = [1, -1] + [1] * (x.dim() - 2)
        dims = [0, *range(2, x.dim())]
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(dims), x.var(dims, unbiased=False)
            with torch.no_grad():
                self.running_mean.lerp_(mean, 1 - self.momentum)
                self.running_var.lerp_(x.var(dims), 1 - self.momentum)
        z = (x - mean.view(shape)) / (var.sqrt() + self.eps).view(shape)
        return z * self.weight.view(shape) + self.bias.view(shape)


@planted("bn", "running_statistics_in_training")
def normalizes_with_the_updated(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        running_mean = (1 - momentum) * running_mean + momentum * x.mean(0)
        running_var = (1 - momentum) * running_var + momentum * x.var(0)
    return gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta, running_mean, running_var


@right("ln", backward="dense_backward")
def layer_for_dense_input(x, gamma, beta, eps=1e-5):
    root = np.sqrt(x.var(-1, keepdims=True) + eps)
    hat = (x - x.mean(-1, keepdims=True)) / root
    return gamma * hat + beta, (hat, root, gamma)


def dense_backward(dy, cache):
    hat, root, gamma = cache
    g = gamma * dy
    dx = (g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True)) / root
    return dx, (dy * hat).sum(0), dy.sum(0)


class _Standardized(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, beta, eps=1e-5):
        root = torch.sqrt(x.var(0, unbiased=False) + eps)
        hat = (x - x.mean(0)) / root
        ctx.save_for_backward(hat, root, gamma)
        return gamma * hat + beta

    @staticmethod
    def backward(ctx, dy):
        hat, root, gamma = ctx.saved_tensors
        g = gamma * dy
        dx = (g - g.mean(0) - hat * (g * hat).mean(0)) / root
        return dx, (dy * hat).sum(0), dy.sum(0), None


class _StandardizedWithoutMean(_Standardized):
    @staticmethod
    def backward(ctx, dy):
        hat, root, gamma = ctx.saved_tensors
        g = gamma * dy
        return (g - hat * (g * hat).mean(0)) / root, (dy * hat).sum(0), dy.sum(0), None


right("bn")(_Standardized)
planted("bn", "gradient_ignores_mean")(_StandardizedWithoutMean)


@planted("bn", "running_unknown")
def adds_up(x, gamma, beta, running_mean, running_var, training=True, momentum=0.1, eps=1e-5):
    y, m, v = _states(x, gamma, beta, running_mean, running_var, training, eps)
    if training:
        running_mean += momentum * m
        running_var += momentum * v
    return y


@planted("bn", "wrong_axis")
def all_of_it(x, gamma, beta, running_mean, running_var, training=True, momentum=0.1, eps=1e-5):
    m, v = (x.mean(), x.var()) if training else (running_mean, running_var)
    if training:
        running_mean[:] = (1 - momentum) * running_mean + momentum * m
        running_var[:] = (1 - momentum) * running_var + momentum * v
    return gamma * (x - m) / np.sqrt(v + eps) + beta


@planted("bn", "running_statistics_not_updated")
def forgets_beside_a_cache(x, gamma, beta, running_mean, running_var, training=True, momentum=0.1, eps=1e-5):
    y, m, v = _states(x, gamma, beta, running_mean, running_var, training, eps)
    return y, (m, v, gamma)


@right("bn", conventions=["running_variance_biased"])
class CamelCase:
    def __init__(self, numFeatures, epsilon=1e-5, momentum=0.1):
        self.gamma, self.beta = np.ones(numFeatures), np.zeros(numFeatures)
        self._runningMean, self._runningVar = np.zeros(numFeatures), np.ones(numFeatures)
        self.epsilon, self.momentum = epsilon, momentum

    def forward(self, x, isTraining=True):
        mean, var = (x.mean(0), x.var(0)) if isTraining else (self._runningMean, self._runningVar)
        if isTraining:
            self._runningMean = self._runningMean + self.momentum * (mean - self._runningMean)
            self._runningVar = self._runningVar + self.momentum * (var - self._runningVar)
        return (self.gamma * (x - mean) / np.sqrt(var + self.epsilon) + self.beta).astype(x.dtype)
