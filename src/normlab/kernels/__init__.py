"""Fast paths for whole families of methods on a CPU, compiled by Numba on first use; each may refuse, with a reason."""
