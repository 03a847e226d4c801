"""A package, so that pytest keeps this folder off the path, where tests/datasets would shadow `datasets`."""
