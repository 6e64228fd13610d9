"""The experiments, one file each or a few; every one returns one result object. They stand on the faces."""
