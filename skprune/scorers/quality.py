"""Quality of a text as judged by a language model: the probability that it answers "yes"."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions

from skprune.language_models.causal.model import CausalLM, Prefix
from skprune.scorers.language_model import ScoreBatches
from skprune.scorers.prompts import Answers, Frame, TextFrame, check_template
from skprune.scorers.sanity import SanityCheck, compare_with_shuffled
from skprune.scorers.served import ServedScorer

_SCORE_VERSION = 1  # part of the fingerprint: increase it whenever a score changes
_MIN_SAVED = 64  # a separate pass for the shared tokens pays off if it saves at least this many


class QualityScorer(ServedScorer):
    """Score texts by the probability that a language model would include them in a training set.

    A causal language model is asked about each text; one forward pass gives the probability that its answer
    begins with "yes". This is the most expensive step of a filter that uses it. Each distinct text is
    therefore run once, in batches of similar length, on top of the cached keys and values of the instruction
    that all prompts begin with.

    The model runs in this process, or on an OpenAI-compatible server at ``base_url``, such as vLLM's or
    llama.cpp's.

    Parameters
    ----------
    model : str or path, default=None
        A hub name such as ``"Qwen/Qwen2.5-1.5B-Instruct"`` (a download of 3.1 GB); a folder with
        ``config.json``, a tokenizer and safetensors weights; a GGUF file; or a folder with exactly one GGUF
        file. Code that comes with the model is never run.
        If the hub does not answer within four seconds, or ``HF_HUB_OFFLINE=1`` is set, a name is taken from
        the hub's local cache; if the model is not there, the error says so.
        With ``base_url``: the name of the model on the server; None takes the only one that it offers.
    base_url : str, default=None
        The address of a server, with the version of its API, such as ``"http://localhost:8000/v1"``. Needs
        the ``server`` extra. The server decides on precision, revision and device, so the parameters
        ``precision``, ``revision``, ``device`` and ``batch_size`` are ignored.
    api_key : str, default=None
        The key for the server. None takes the environment variable ``OPENAI_API_KEY``, if it is set. The key
        is never shown, and a pickle does not contain it.
    task : str, default="text classification"
        What the texts are for, in words; the prompt names it.
    prompt : str or None, default=None
        A template that contains ``{text}`` exactly once, and ``{task}``. None takes
        ``skprune.scorers.prompts.PROMPT``. What precedes ``{text}`` is run once for all texts; what follows
        it is run with every text.
    precision : {"auto", "nf4", "int8", "bfloat16", "float32"}, default="auto"
        What the weights are kept in. "nf4" (4 bits) and "int8" need bitsandbytes. "auto" is "nf4" on CUDA, as
        in ActivePrune; elsewhere it is "bfloat16" if the processor multiplies bfloat16 natively, which is the
        fastest on a CPU, else "float32". "float32" is slower, and the reference for the others: the Notes say
        how far these are off.
    normalize : {"vocab", "yes_no"}, default="vocab"
        Tokens over which the probability of "yes" is normalized: the whole vocabulary, as in ActivePrune, or
        only the spellings of "yes" and "no".
    calibrate : bool, default=False
        Subtract the score of the prompt with an empty text. This makes scores of different tasks, prompts
        and models comparable; it does not change the order within a pool.
    max_length : int, default=512
        Maximum number of tokens of a text; the rest is cut off. The question is never cut. With ``base_url``,
        a token is taken as four characters, because the server has the tokenizer.
    chat_template : bool, default=True
        Ask as the user of a chat, if the model's tokenizer has a chat template. With ``base_url``: send chat
        completions; False sends completions.
    revision : str, default=None
        Branch, tag or commit on the hub.
    device : str, default="auto"
        A torch device. "auto" takes a GPU (MPS or CUDA) if one is available, else the CPU.
    batch_size : int, default=None
        Maximum number of texts in one forward pass. None: as many as fit into 512 tokens on a CPU and 16,384
        elsewhere, padding included. Halved when memory runs out.
    max_concurrency : int, default=16
        Maximum number of requests to the server at the same time.
    timeout : float, default=60.0
        Seconds that a request may take. Connecting may take three.
    max_retries : int, default=5
        How often a request is repeated after a timeout, a broken connection, an incomplete answer, or the
        status 408, 409, 429 or 5xx. The client waits as long as the server's Retry-After says (at most two
        minutes), else 0.5 s, 1 s, 2 s and so on, up to 8 s, less a random part.
    max_calls : int, default=None
        Maximum number of prompts that this object sends to the server; beyond it, scoring ends with a
        ``ServerError``.
    verbose : int, default=0
        0 shows a progress bar, of loading and of scoring, after two seconds and on a terminal only. 1 shows
        it at once, everywhere.

    Attributes
    ----------
    n_calls_ : int
        Number of prompts that this object has run through the model, without the probe of a server.
    n_tokens_ : int
        Number of tokens, of prompts and answers, that the server has counted; 0 without ``base_url``.
    n_censored_ : int
        Number of scores that rest on a bound, because the server did not list the answer; see the Notes.

    See Also
    --------
    ActivePruneFilter : Asks about a few candidates only.

    Notes
    -----
    Scores are probabilities in [0, 1]; with ``calibrate``, differences of two probabilities, in [-1, 1].

    The score follows section 3.3 of ActivePrune [1]_, which follows ASK-LLM [2]_: q(x) =
    softmax(logits)["yes"] at the last position. The probability of "yes" is summed over those spellings of
    yes, Yes and YES, with and without a space before, that are single tokens.

    We deviate from the paper in three ways. The wording is ours, because the paper shows it only as an image.
    The question stands before the text, not after it, because what comes first is computed once for all
    texts; models of 135 M and 0.5 B parameters were no worse at telling real from shuffled texts this way.
    ``normalize="yes_no"`` and ``calibrate`` are additions.

    ``###`` and the tokenizer's special tokens are removed from the texts. A text can therefore neither end
    its frame nor pose as the other side of the chat.

    Small models answer, but their answers may say nothing about quality. Run :meth:`sanity_check` on some of
    your own texts before you trust a score.

    Scores from different batches agree within the rounding of the precision, in float32 to 0.02 % in our
    tests. "int8" determines the outliers of each batch separately.

    A lower precision changes scores, and we measured this on small models only. In bfloat16 the probabilities
    of SmolLM2-135M for 120 film reviews differ from those in float32 by 4 % in the median and by 11 % in one
    case in twenty; the largest difference that we have seen on any texts is 29 %. The rank correlation was
    0.99. In "nf4" it was 0.53 for SmolLM2-135M and 0.85 for Qwen2.5-Coder-0.5B (medians over prompts and
    pools): below a billion parameters, 4 bits give another ranking. "auto" is "nf4" on CUDA all the same, as
    in the paper. Larger models were not measured.

    **Servers.** A server lists the 20 most probable tokens. If no spelling of an answer is among them, its
    probability is censored: it counts with the largest value that it can have, which is the probability of
    the least probable token in the list, and no more than what the list leaves. With "vocab" a score is then
    an upper bound. With "yes_no" it is an upper bound if "yes" is missing, a lower bound if "no" is missing,
    and 0.5 if both are. ``n_censored_`` counts these scores, and a warning appears if they are more than 5 %
    of a call. A server that takes vLLM's ``logprob_token_ids`` lists both answers always.

    The first use probes the server with a few requests, and fails if the server cannot be reached, does not
    offer the model, gives no log probabilities or answers neither yes nor no. If a request fails for good, a
    :class:`~skprune.ServerError` says how many texts were scored. A filter keeps these scores in its
    ``memory``. The fingerprint contains the address, the model, what the server tells about it, and the
    prompt, but never the key. Names of special tokens of the common model families are removed from texts.

    A pickle contains no weights. The model is loaded on first use, and all scorers of a process that name it
    share it. The two models used last stay loaded; :func:`skprune.hub.clear_models` frees them.

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
    >>> # With a model of this size, a single pair means little.
    >>> scorer(["a delight from start to finish", "from delight finish a to start"])  # doctest: +SKIP
    array([0.04..., 0.05...])

    The same, from a server:

    >>> scorer = QualityScorer(base_url="http://localhost:8000/v1", task="sentiment analysis")
    >>> scorer(["a delight from start to finish"])  # doctest: +SKIP
    array([0.04...])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ServedScorer._parameter_constraints,
        "task": [str],
        "prompt": [str, None],
        "normalize": [StrOptions({"vocab", "yes_no"})],
        "calibrate": ["boolean"],
        "chat_template": ["boolean"],
    }

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        base_url: str | None = None,
        api_key: Any = None,
        task: str = "text classification",
        prompt: str | None = None,
        precision: str = "auto",
        normalize: str = "vocab",
        calibrate: bool = False,
        max_length: int = 512,
        chat_template: bool = True,
        revision: str | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        max_concurrency: int = 16,
        timeout: float = 60.0,
        max_retries: int = 5,
        max_calls: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.base_url = base_url
        self.api_key = api_key
        self.task = task
        self.prompt = prompt
        self.precision = precision
        self.normalize = normalize
        self.calibrate = calibrate
        self.max_length = max_length
        self.chat_template = chat_template
        self.revision = revision
        self.device = device
        self.batch_size = batch_size
        self.max_concurrency = max_concurrency
        self.timeout = timeout
        self.max_retries = max_retries
        self.max_calls = max_calls
        self.verbose = verbose

    def iter_scores(self, texts: Any) -> ScoreBatches:
        """Yield (positions, scores) batch by batch; ``texts`` are checked and distinct."""
        template = self._checked_template()
        if not len(texts):
            return
        score = self._asking(template)
        offset = 0.0
        if self.calibrate:
            (_, scores), *_ = score([""])
            offset = scores[0]
        batches = self._in_chunks(texts, score, "asking the LLM")
        for rows, scores in self._watched(batches, len(texts)):
            yield rows, scores - offset

    @property
    def fingerprint(self) -> str:
        """What identifies the scores: the model's content or commit, and the parameters that change a score.

        It loads no weights. It reads the files of a local model, once for each state of the files, or the
        config of a hub name, from the cache or the hub. A server is probed at the first call.
        """
        template = self._checked_template()
        content = [
            _SCORE_VERSION,
            self._model_fingerprint() if self.base_url is None else self._served_content(template),
            template,
            self.normalize,
            bool(self.calibrate),
            int(self.max_length),
            bool(self.chat_template),
        ]
        return "quality-" + hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

    def sanity_check(self, texts: Any, *, n: int = 200, random_state: Any = None) -> SanityCheck:
        """Test whether the model can tell texts from the same words in random order.

        A model that cannot do this has no notion of quality to prune by. The bar is low: a model that passes
        may still judge badly. The scores are not kept.

        Parameters
        ----------
        texts : sequence of str
            A sample of the pool: a few hundred texts of several words.
        n : int, default=200
            Number of texts to draw from them; the model runs twice as many prompts.
        random_state : int, RandomState or None, default=None
            Seed of the draw and of the word order.

        Returns
        -------
        SanityCheck
            The result; its string states it in words.

        Warns
        -----
        UserWarning
            If the model does not pass.

        Raises
        ------
        ValueError
            If fewer than two texts have several words to shuffle.
        """
        check = compare_with_shuffled(self, texts, n=n, random_state=random_state)
        if not check.passed:
            warnings.warn(f"{self._named}: {check}", UserWarning, stacklevel=2)
        return check

    def _checked_template(self) -> str:
        """Check the parameters, and return the prompt with a placeholder for the text."""
        self._validate_params()
        if self.model is None and self.base_url is None:
            raise ValueError(
                "QualityScorer needs a model (a name on the hub, a folder or a GGUF file), or base_url (the "
                "address of a server)"
            )
        return check_template(self.prompt, self.task)

    def _asking(self, template: str) -> Callable[[list[str]], ScoreBatches]:
        """Return what scores a list of texts: a server, or a model that is loaded here."""
        if self.base_url is not None:
            served = TextFrame(template, self.max_length)
            return lambda chunk: self._ask_server(served, chunk)
        lm = self._load()
        frame = Frame(lm, template, self.max_length, self.chat_template)
        return lambda chunk: self._probabilities(lm, frame.encode(chunk))

    def _probabilities(self, lm: CausalLM, prompts: list[list[int]]) -> ScoreBatches:
        """Yield (positions, probabilities of "yes"), the longest prompts first."""
        n_shared, prefix = _shared_prefix(lm, prompts)
        answers = Answers.of(lm.tokenizer)

        def batch_probabilities(batch: list[list[int]]) -> np.ndarray:
            logits = lm.next_token_logits(batch, prefix=prefix, exact=answers.ids)
            yes = logits[:, answers.yes].logsumexp(dim=1)
            over = logits if self.normalize == "vocab" else logits[:, answers.ids]
            return (yes - over.logsumexp(dim=1)).exp().double().cpu().numpy().clip(max=1.0)

        yield from self._by_length(lm, [ids[n_shared:] for ids in prompts], batch_probabilities)


def _shared_prefix(lm: CausalLM, prompts: list[list[int]]) -> tuple[int, Prefix | None]:
    """Return how many tokens all prompts begin with, and their state; (0, None) if that saves little."""
    first, last = min(prompts), max(prompts)  # in sorted order, so all prompts share what these two share
    n_shared = 0
    # Each prompt must keep at least one token.
    while n_shared < min(map(len, prompts)) - 1 and first[n_shared] == last[n_shared]:
        n_shared += 1
    if n_shared * (len(prompts) - 1) < _MIN_SAVED:
        return 0, None
    prefix = lm.encode_prefix(first[:n_shared])
    return (0, None) if prefix is None else (n_shared, prefix)
