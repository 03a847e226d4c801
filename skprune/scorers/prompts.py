"""Prompts that ask a language model for a yes or a no about a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skprune.language_models.causal.model import CausalLM

MARKER = "###"
# Chosen by measurement (docs/results/p_yes.md): small models follow a list of what is wanted and what is not
# better than one question. All but the last line is the same for all texts and run once, so its length is
# free, while each token after the text is paid for with every text.
PROMPT = (
    "An example is wanted for the training set of the task: {task}. An informative example is well-formed "
    "and readable, holds something of use for the task, and is neither harmful nor broken: no garbled text, "
    "no boilerplate, no markup, no fragments that nobody can follow. "
    f"Should the example between the two lines of {MARKER} be included in the training set?\n"
    "Options: yes, no\n"
    f"{MARKER}\n{{text}}\n{MARKER} Answer:"
)

_HERE = "\ue000text\ue000"  # stands for the text while the chat template is filled in


class Frame:
    """Turns texts into the token ids of prompts."""

    def __init__(self, lm: CausalLM, template: str, max_length: int, chat_template: bool) -> None:
        self.tokenizer = lm.tokenizer
        self.max_length = max_length
        self.is_chat = bool(chat_template and lm.tokenizer.chat_template)
        if self.is_chat:
            template = _fill_chat_template(lm.tokenizer, template)
        self.head, _, self.tail = template.partition(_HERE)
        self.forbidden = _forbidden(lm.tokenizer, MARKER in template)
        room = lm.max_positions and lm.max_positions - len(self.encode([""])[0])
        if room is not None and max_length > room:
            raise ValueError(
                f"max_length={max_length} leaves no room for the question: beside it, the model's "
                f"{lm.max_positions} positions hold {max(room, 0)} tokens"
            )

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text's prompt."""
        prompts = [self.head + text + self.tail for text in self._cut(texts)]
        encoded = self.tokenizer(
            prompts, add_special_tokens=not self.is_chat, return_attention_mask=False, verbose=False
        )
        return encoded["input_ids"]

    def _cut(self, texts: Sequence[str]) -> list[str]:
        """Clean the texts, and cut the long ones after ``max_length`` tokens."""
        cleaned = [self.forbidden.sub(" ", text).strip() for text in texts]
        # A token has a byte at least.
        long = [row for row, text in enumerate(cleaned) if len(text.encode()) > self.max_length]
        if long:
            encoded = self.tokenizer(
                [cleaned[row] for row in long],
                add_special_tokens=False,
                truncation=True,
                max_length=self.max_length,
                return_offsets_mapping=True,
            )
            for row, offsets in zip(long, encoded["offset_mapping"], strict=True):
                cleaned[row] = cleaned[row][: offsets[-1][1]].rstrip()
        return cleaned


@dataclass(frozen=True)
class Answers:
    """Token ids of the two answers."""

    yes: list[int]
    no: list[int]

    @property
    def ids(self) -> list[int]:
        """All of them."""
        return self.yes + self.no

    @classmethod
    def of(cls, tokenizer: Any) -> Answers:
        """Find the spellings of yes and no that are single tokens, with and without a space before.

        Raises
        ------
        ValueError
            If the vocabulary has none.
        """
        vocabulary = tokenizer.get_vocab()
        spaces = ("", " ", "Ġ", "▁")  # a space at a word's beginning, as the kinds of vocabularies write it

        def ids(word: str) -> list[int]:
            cases = (word, word.capitalize(), word.upper())
            found = {vocabulary.get(space + case) for space in spaces for case in cases} - {None}
            if not found:
                raise ValueError(f"the model's vocabulary has no single token for {word!r}")
            return sorted(found)

        return cls(ids("yes"), ids("no"))


def check_template(prompt: str | None, task: str) -> str:
    """Return the template with the task filled in and a mark where the text goes.

    Raises
    ------
    ValueError
        If a field is missing.
    """
    template = PROMPT if prompt is None else prompt
    for name in ("text", "task"):
        if f"{{{name}}}" not in template:
            raise ValueError(f"prompt has no field {{{name}}}")
    if template.count("{text}") > 1:
        raise ValueError("prompt must hold {text} once only")
    # In this order, a task that says "{text}" is just a task.
    head, _, tail = template.partition("{text}")
    return head.replace("{task}", task) + _HERE + tail.replace("{task}", task)


def _fill_chat_template(tokenizer: Any, content: str) -> str:
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=False,
        add_generation_prompt=True,
        # Templates that know these would put today's date into the prompt, and thoughts before the answer.
        date_string="26 Jul 2024",
        enable_thinking=False,
    )


def _forbidden(tokenizer: Any, marker: bool) -> re.Pattern[str]:
    """Match what a text must not hold: special tokens, and the frame's marker."""
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    special |= set(tokenizer.all_special_tokens)
    parts = [re.escape(token) for token in sorted(special, key=len, reverse=True)]
    if marker:
        parts.append(f"{re.escape(MARKER)}#*")
    return re.compile("|".join(parts) or "(?!)")
