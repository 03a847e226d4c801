"""``python -m skprune``: the command ``skprune``."""

from skprune.cli import main

if __name__ == "__main__":
    main()
