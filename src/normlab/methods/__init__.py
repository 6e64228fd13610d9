"""One file per method. A file here defines exactly one `Definition`; the registry finds it by walking this folder."""
