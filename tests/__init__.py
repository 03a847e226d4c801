"""A package, so that pytest keeps this folder off the path: `tests/datasets` would pass for `datasets` there."""
