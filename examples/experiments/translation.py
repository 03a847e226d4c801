"""Active learning for translation: fine-tune a T5 on English texts about software and their translations.

One of the two loops that table_generation.py compares over seeds. Prints one row per round with corpus BLEU,
then the translations of three texts. The packaged T5 was distilled to write titles, and a hundred pairs
teach it only rough German: this shows the loop, not good translations. For those, name a model that knows
both languages, on a machine that can train it.

    python examples/experiments/translation.py  # seven minutes on one core, 5 GiB
    python examples/experiments/translation.py --filter none --strategy idds
    python examples/experiments/translation.py --model facebook/bart-base --pool-size 20000 --rounds 10
"""

from __future__ import annotations

from typing import Any

from _generation import Task, parse, play

from skprune.datasets import load_debian_translations


def translation(max_words: int = 25) -> Task:
    """Return the task: Debian's English–German pairs of at most ``max_words`` English words."""
    return Task(
        name="machine translation",
        data=load_debian_translations(max_words=max_words),
        learner={
            "prefix": "translate English to German: ",
            "max_source_length": 64,
            "max_target_length": 64,
            "num_beams": 2,
            "metric": "sacrebleu",
            "lr": 1e-3,
        },
    )


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the loop on Debian's English–German pairs."""
    args = parse(__doc__, argv)
    return play(translation(), args)


if __name__ == "__main__":
    main()
