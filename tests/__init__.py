"""A package, so that pytest does not put `tests` on the path, where `tests/datasets` would pass for `datasets`."""
