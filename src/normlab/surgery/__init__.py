"""Changes to a torch model that exists: what is done is told, measured where a batch is given, and can be undone."""

from .. import torch as _  # noqa: F401 (says how to install torch where it is missing)
