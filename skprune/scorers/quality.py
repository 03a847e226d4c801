"""Quality of a text as a language model sees it: the probability that it says "yes"."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions

from skprune.language_models.causal.model import CausalLM, Prefix
from skprune.pools import check_texts
from skprune.scorers.language_model import LanguageModelScorer, Scores
from skprune.scorers.prompts import Answers, Frame, check_template

if TYPE_CHECKING:
    import torch

PASSING_AUC = 0.7

_FORMAT = 1  # part of the fingerprint: raised whenever a score changes
_MIN_SAVED = 64  # tokens not run, below which a pass of its own for the shared ones does not pay


class QualityScorer(LanguageModelScorer):
    """Score texts by the probability that a language model would include them in a training set.

    A causal language model is asked about each text and one forward pass gives the probability that its
    answer begins with "yes". Most of what a pool filter of this kind costs is spent here, so each distinct
    text is run once, in batches of similar length, on top of the keys and values of the instruction that
    all prompts begin with.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"google/gemma-2b-it"``; a folder with ``config.json``, a tokenizer and
        safetensors weights; a GGUF file, or a folder with exactly one. Code in it is never run.
    task : str, default="text classification"
        What the texts are for, in words; the prompt names it.
    prompt : str or None, default=None
        A template with ``{text}``, once, and ``{task}``. None: :data:`PROMPT`. Whatever stands before
        ``{text}`` costs nothing; whatever stands after it is paid for with every text.
    quantization : {"auto", "nf4", "int8", "float32"} or None, default="auto"
        "nf4" and "int8" go through bitsandbytes. None keeps bfloat16 where the device multiplies it
        natively, else float32. "auto" is "nf4" on CUDA, as in ActivePrune, and None elsewhere: on a CPU
        bfloat16 is the fastest. "float32" is slower, and exact.
    normalize : {"vocab", "yes_no"}, default="vocab"
        Over what the probability of "yes" is taken: all tokens, as in ActivePrune, or those for "yes" and
        "no" alone.
    calibrate : bool, default=False
        Subtract the score of the prompt with an empty text. It makes scores of different tasks, prompts
        and models comparable; the order within one pool stays as it is.
    max_length : int, default=512
        Tokens of a text that the model sees; the rest is cut off. The question is never cut.
    chat_template : bool, default=True
        Ask as the user of a chat, if the model's tokenizer has a template for that.
    revision : str, default=None
        Branch, tag or commit on the hub.
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever there is.
    tokens_per_batch : int, default=None
        Tokens in a forward pass, padding included. None: 512 on a CPU, 16,384 elsewhere. It is halved when
        memory runs out.
    verbose : int, default=0
        Positive shows a progress bar.

    Attributes
    ----------
    n_calls_ : int
        Prompts run through the model over the object's life.

    See Also
    --------
    ActivePruneFilter : Asks about a few candidates only.

    Notes
    -----
    Section 3.3 of ActivePrune [1]_, after ASK-LLM [2]_: q(x) = softmax(logits)["yes"] at the last position.
    "yes" is summed over those of yes, Yes and YES, with and without a space before, that are single tokens.
    Ours: the wording, for the paper gives it as an image only; the question stands before the text, not
    after it, since what comes first is computed once for all (with models of 135 M and 0.5 B parameters it
    told real from shuffled texts no worse); ``normalize="yes_no"`` and ``calibrate``.

    ``###``, and the tokenizer's special tokens, are taken out of the texts: a text cannot end its frame, nor
    pose as the other side of the chat.

    Small models answer, but do not judge. Run :meth:`sanity_check` on some of your own texts before you trust
    a score.

    Whatever the batch, scores agree within the rounding of the precision: in float32 to five digits; in
    bfloat16 a probability is off by some 6 %, and the rank correlation with float32 is 0.99
    (SmolLM2-135M, 120 film reviews); "int8" looks for outliers in each batch anew.

    A pickle holds no weights: the model is loaded when it is used, and shared by all scorers of a process
    that name it.

    References
    ----------
    .. [1] A. Azeemi, I. A. Qazi and A. A. Raza, "Language model-driven data pruning enables efficient active
       learning", 2024, arXiv:2410.04275.
    .. [2] N. Sachdeva et al., "How to train data-efficient LLMs", 2024, arXiv:2402.09668.

    Examples
    --------
    >>> from skprune import QualityScorer
    >>> from skprune.datasets import fetch_model
    >>> scorer = QualityScorer(fetch_model("smollm2-135m"), task="sentiment analysis")  # doctest: +SKIP
    >>> # A model of this size is not to be trusted with a single pair.
    >>> scorer(["a delight from start to finish", "from delight finish a to start"])  # doctest: +SKIP
    array([0.04..., 0.05...])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **LanguageModelScorer._parameter_constraints,
        "task": [str],
        "prompt": [str, None],
        "normalize": [StrOptions({"vocab", "yes_no"})],
        "calibrate": ["boolean"],
        "chat_template": ["boolean"],
    }

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        task: str = "text classification",
        prompt: str | None = None,
        quantization: str | None = "auto",
        normalize: str = "vocab",
        calibrate: bool = False,
        max_length: int = 512,
        chat_template: bool = True,
        revision: str | None = None,
        device: str = "auto",
        tokens_per_batch: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.task = task
        self.prompt = prompt
        self.quantization = quantization
        self.normalize = normalize
        self.calibrate = calibrate
        self.max_length = max_length
        self.chat_template = chat_template
        self.revision = revision
        self.device = device
        self.tokens_per_batch = tokens_per_batch
        self.verbose = verbose

    def __call__(self, texts: Any) -> np.ndarray:
        """Return the score of each text.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        ndarray of float64, shape (n,)
            Probabilities in [0, 1]; with ``calibrate`` differences of two, in [-1, 1].

        Raises
        ------
        ValueError
            If a text is missing or a parameter out of range.
        ModelLoadError
            If the model is missing, damaged or of another kind.
        """
        return super().__call__(texts)

    def iter_scores(self, texts: Any) -> Scores:
        """Yield the scores batch by batch, so that an interrupt costs no more than one batch.

        Parameters
        ----------
        texts : sequence of str

        Yields
        ------
        rows : ndarray of int
            Positions in ``texts``; each comes once.
        scores : ndarray of float64
            Theirs, as :meth:`__call__` returns them.

        Raises
        ------
        ValueError, ModelLoadError
            As :meth:`__call__` does, before the first batch.
        """
        self._validate_params()
        template = check_template(self.prompt, self.task)
        texts = check_texts(texts)
        if not len(texts):
            return
        lm = self._load()
        frame = Frame(lm, template, self.max_length, self.chat_template)
        offset = 0.0
        if self.calibrate:
            (_, scores), *_ = self._run(lm, frame.encode([""]))
            offset = scores[0]

        def ask(distinct: list[str]) -> Scores:
            return self._run(lm, frame.encode(distinct))

        for rows, scores in self._each_once(texts, ask, "asking the LLM"):
            yield rows, scores - offset

    @property
    def fingerprint(self) -> str:
        """What the scores depend on: the model's content or commit, precision, prompt, length, normalizer.

        Weights are not loaded for it, but a local model's files are read, once for each state of them; a
        hub name needs the model's config, from the cache or the hub.
        """
        self._validate_params()
        content = [
            _FORMAT,
            self._model_fingerprint(),
            check_template(self.prompt, self.task),
            self.normalize,
            bool(self.calibrate),
            int(self.max_length),
            bool(self.chat_template),
        ]
        return "quality-" + hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

    def sanity_check(self, texts: Any, *, n: int = 200, random_state: Any = None) -> SanityCheck:
        """Test whether the model tells texts from the same words in random order.

        What cannot see that much has no notion of quality to prune by. It is a low bar: a model that passes
        may still judge badly. The scores are not kept.

        Parameters
        ----------
        texts : sequence of str
            Some of the pool: a few hundred texts of several words.
        n : int, default=200
            Texts drawn from them; the model runs twice as many prompts.
        random_state : int, RandomState or None, default=None
            Seed of the draw and of the word order.

        Returns
        -------
        SanityCheck
            It says in words how it went.

        Warns
        -----
        UserWarning
            If the model does not pass.

        Raises
        ------
        ValueError
            If fewer than two texts have words to shuffle.
        """
        rng = check_random_state(random_state)
        pool = np.unique(check_texts(texts))
        real, shuffled = [], []
        for text in pool[rng.permutation(len(pool))]:
            other = " ".join(rng.permutation(text.split()))
            if other != " ".join(text.split()):
                real.append(text)
                shuffled.append(other)
            if len(real) == n:
                break
        if len(real) < 2:
            raise ValueError(f"texts must hold at least two of several words, got {len(real)}")
        is_real = np.repeat([True, False], len(real))
        check = SanityCheck(auc=float(roc_auc_score(is_real, self(real + shuffled))), n=len(real))
        if not check.passed:
            warnings.warn(f"model={os.fspath(self.model)!r}: {check}", UserWarning, stacklevel=2)
        return check

    def _run(self, lm: CausalLM, prompts: list[list[int]]) -> Scores:
        """Yield rows of ``prompts`` and their probabilities, the longest prompts first."""
        n_shared, prefix = _shared_prefix(lm, prompts)
        answers = Answers.of(lm.tokenizer)

        def probability(batch: list[list[int]]) -> np.ndarray:
            return self._probability(lm.next_token_logits(batch, prefix=prefix, exact=answers.ids), answers)

        yield from self._longest_first(lm, [ids[n_shared:] for ids in prompts], probability)

    def _probability(self, logits: torch.Tensor, answers: Answers) -> np.ndarray:
        yes = logits[:, answers.yes].logsumexp(dim=1)
        over = logits if self.normalize == "vocab" else logits[:, answers.ids]
        return (yes - over.logsumexp(dim=1)).exp().double().cpu().numpy().clip(max=1.0)


@dataclass(frozen=True)
class SanityCheck:
    """How well P("yes") tells texts from the same words in random order.

    Attributes
    ----------
    auc : float
        Area under the ROC curve: 0.5 is chance, below it shuffled texts score higher.
    n : int
        Texts, each once as it is and once shuffled.
    """

    auc: float
    n: int

    @property
    def passed(self) -> bool:
        """Whether the AUC is at least 0.7, a bound of ours."""
        return self.auc >= PASSING_AUC

    def __str__(self) -> str:
        found = f"AUC {self.auc:.2f} of {self.n} texts against their shuffled words"
        if self.passed:
            return f"passed: {found} (at least {PASSING_AUC} is asked)"
        return (
            f"failed: {found} (at least {PASSING_AUC} is asked). This model's scores say little about "
            "quality: try a larger or instruction-tuned model, or another prompt"
        )


def _shared_prefix(lm: CausalLM, prompts: list[list[int]]) -> tuple[int, Prefix | None]:
    """Return how many tokens all prompts begin with, and their state; (0, None) where it does not pay."""
    first, last = min(prompts), max(prompts)  # what these two share, those between them share
    n_shared = 0
    # One token of each prompt has to remain.
    while n_shared < min(map(len, prompts)) - 1 and first[n_shared] == last[n_shared]:
        n_shared += 1
    if n_shared * (len(prompts) - 1) < _MIN_SAVED:
        return 0, None
    prefix = lm.encode_prefix(first[:n_shared])
    return (0, None) if prefix is None else (n_shared, prefix)
