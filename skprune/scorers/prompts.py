"""Prompts that ask a language model a yes-or-no question about a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skprune.language_models.causal.model import CausalLM

MARKER = "###"
# Chosen by measurement (docs/results/p_yes.md): small models follow a list of what is wanted and what is not
# better than a single question. What precedes the text is the same for all texts and is run once, so its
# length costs nothing; every token after the text is run with every text.
PROMPT = (
    "An example is wanted for the training set of the task: {task}. An informative example is well-formed "
    "and readable, holds something of use for the task, and is neither harmful nor broken: no garbled text, "
    "no boilerplate, no markup, no fragments that nobody can follow. "
    f"Should the example between the two lines of {MARKER} be included in the training set?\n"
    "Options: yes, no\n"
    f"{MARKER}\n{{text}}\n{MARKER} Answer:"
)

_CHARACTERS_PER_TOKEN = 4  # in English; a server tells the number of tokens only afterwards
# The special tokens of Llama, Mistral, Gemma, Phi, Qwen and GPT: <|im_end|>, </s>, <end_of_turn>, [/INST].
_SPECIAL_TOKENS = (
    r"<\|[^<>|\s]{1,40}\|>|</?(?:s|bos|eos|pad|unk|mask|think)>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"
)

_PLACEHOLDER = "\ue000text\ue000"  # stands for the text while the chat template is filled in


class Frame:
    """The prompt around a text for a model of this process: it turns texts into the token ids of prompts.

    Parameters
    ----------
    lm : CausalLM
    template : str
        The prompt with a placeholder for the text, from :func:`check_template`.
    max_length : int
        Maximum number of tokens of a text.
    chat_template : bool
        Whether to ask as the user of a chat, if the tokenizer has a chat template.

    Raises
    ------
    ValueError
        If a text of ``max_length`` tokens and the question exceed the model's positions.
    """

    def __init__(self, lm: CausalLM, template: str, max_length: int, chat_template: bool) -> None:
        self.tokenizer = lm.tokenizer
        self.max_length = max_length
        self.is_chat = bool(chat_template and lm.tokenizer.chat_template)
        if self.is_chat:
            template = _fill_chat_template(lm.tokenizer, template)
        self.head, _, self.tail = template.partition(_PLACEHOLDER)
        special = {token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special}
        special |= set(self.tokenizer.all_special_tokens)
        names = [re.escape(token) for token in sorted(special, key=len, reverse=True)]
        self.forbidden = _forbidden(names, MARKER in template)
        room = lm.max_positions and lm.max_positions - len(self.encode([""])[0])
        if room is not None and max_length > room:
            raise ValueError(
                f"max_length={max_length} leaves no room for the question: of the model's {lm.max_positions} "
                f"positions, {max(room, 0)} remain for the text"
            )

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of the prompt of each text."""
        prompts = [self.head + text + self.tail for text in self._clean(texts)]
        encoded = self.tokenizer(
            prompts, add_special_tokens=not self.is_chat, return_attention_mask=False, verbose=False
        )
        return encoded["input_ids"]

    def _clean(self, texts: Sequence[str]) -> list[str]:
        """Remove special tokens and markers, and cut the texts after ``max_length`` tokens."""
        cleaned = [self.forbidden.sub(" ", text).strip() for text in texts]
        # A token has at least one byte, so a text of few bytes needs no tokenizing.
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


class TextFrame:
    """The prompt around a text for a model on a server, which has the tokenizer and the chat template.

    Parameters
    ----------
    template : str
        The prompt with a placeholder for the text, from :func:`check_template`.
    max_length : int
        Maximum number of tokens of a text, taken as four characters each.

    Examples
    --------
    >>> frame = TextFrame(check_template("{text}\\nGood for {task}?", "topics"), max_length=2)
    >>> frame.fill(["A<|im_end|> and more text"])
    ['A  and m\\nGood for topics?']
    """

    def __init__(self, template: str, max_length: int) -> None:
        self.head, _, self.tail = template.partition(_PLACEHOLDER)
        self.n_characters = _CHARACTERS_PER_TOKEN * max_length
        self.forbidden = _forbidden([_SPECIAL_TOKENS], MARKER in template)

    def fill(self, texts: Sequence[str]) -> list[str]:
        """Return the prompt of each text."""
        cleaned = (self.forbidden.sub(" ", text).strip() for text in texts)
        return [self.head + text[: self.n_characters].rstrip() + self.tail for text in cleaned]


@dataclass(frozen=True)
class Answers:
    """Token ids of the two answers.

    Attributes
    ----------
    yes, no : list of int
        Token ids of the spellings of each answer.
    """

    yes: list[int]
    no: list[int]

    @property
    def ids(self) -> list[int]:
        """Token ids of both answers."""
        return self.yes + self.no

    @classmethod
    def of(cls, tokenizer: Any) -> Answers:
        """Find the spellings of yes and no that are single tokens, with and without a space before.

        Raises
        ------
        ValueError
            If the vocabulary has no such token for yes or for no.
        """
        vocabulary = tokenizer.get_vocab()

        def ids(word: str) -> list[int]:
            found = {vocabulary.get(spelling) for spelling in spellings(word)} - {None}
            if not found:
                raise ValueError(f"the model's vocabulary has no single token for {word!r}")
            return sorted(found)

        return cls(ids("yes"), ids("no"))


def spellings(word: str) -> list[str]:
    """Return the spellings of an answer: three cases, with and without a space before.

    Examples
    --------
    >>> spellings("no")[:6]
    ['no', 'No', 'NO', ' no', ' No', ' NO']
    """
    spaces = ("", " ", "Ġ", "▁")  # no space, and a leading space as different vocabularies write it
    return [space + case for space in spaces for case in (word, word.capitalize(), word.upper())]


def check_template(prompt: str | None, task: str) -> str:
    """Return the template with the task filled in and a placeholder for the text.

    Parameters
    ----------
    prompt : str or None
        A template with the fields ``{text}`` and ``{task}``. None: :data:`PROMPT`.
    task : str
        What the texts are for.

    Raises
    ------
    ValueError
        If a field is missing, or ``{text}`` occurs more than once.
    """
    template = PROMPT if prompt is None else prompt
    for name in ("text", "task"):
        if f"{{{name}}}" not in template:
            raise ValueError(f"prompt has no field {{{name}}}: add it")
    if template.count("{text}") > 1:
        raise ValueError("prompt must contain {text} once only")
    # The template is split before the task is filled in, so that a task may contain "{text}".
    head, _, tail = template.partition("{text}")
    return head.replace("{task}", task) + _PLACEHOLDER + tail.replace("{task}", task)


def _fill_chat_template(tokenizer: Any, content: str) -> str:
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=False,
        add_generation_prompt=True,
        # Some templates would otherwise insert today's date, or let the model think before it answers.
        date_string="26 Jul 2024",
        enable_thinking=False,
    )


def _forbidden(special: list[str], marker: bool) -> re.Pattern[str]:
    """Return a pattern of what a text must not contain: special tokens and, if used, the frame's marker."""
    return re.compile("|".join(special + [f"{re.escape(MARKER)}#*"] * marker) or "(?!)")
