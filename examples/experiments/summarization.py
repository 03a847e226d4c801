"""Active learning for summarization: fine-tune a T5 on package descriptions and their summaries.

One of the two loops that table_generation.py compares over seeds. The summary of a description is the
synopsis that its maintainer wrote. Prints one row per round with ROUGE-L (Porter stems), then the summaries
of three texts.

    python examples/experiments/summarization.py  # seven minutes on one core, 5 GiB
    python examples/experiments/summarization.py --filter random --strategy idds
"""

from __future__ import annotations

from typing import Any

from _generation import Task, parse, play

from skprune.datasets import load_debian_summaries


def summarization() -> Task:
    """Return the task: Debian's descriptions and synopses."""
    return Task(
        name="abstractive summarization",
        data=load_debian_summaries(),
        learner={
            "prefix": "summarize: ",
            "max_source_length": 96,
            "max_target_length": 24,
            "num_beams": 2,
            "metric": "rouge_l",
            "lr": 1e-3,
        },
    )


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the loop on Debian's descriptions and synopses."""
    args = parse(__doc__, argv)
    return play(summarization(), args)


if __name__ == "__main__":
    main()
