"""A fine-tuned encoder–decoder that learns texts from texts: translation, summarization."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skprune.exceptions import EmptyPoolError
from skprune.hub.devices import choose_device, seeded_torch
from skprune.metrics import rouge_l, sacrebleu
from skprune.models.fine_tuning import FineTuned, import_engine
from skprune.pools import check_texts
from skprune.streams import draw_seed, generator

_CHUNK = 16_384  # texts tokenized at a time when predicting
_TOKENS_PER_BATCH = {"cpu": 4_096, "other": 65_536}  # padded source tokens, times beams
_LOGITS_PER_BATCH = {"cpu": 2**24, "other": 2**28}  # float32, when scoring: 64 MiB, 1 GiB


class TransformerSeq2Seq(FineTuned):
    """Fine-tune a pretrained encoder–decoder on pairs of texts, with skorch.

    Every ``fit`` starts from the pretrained weights, which are read from disk once per process;
    ``partial_fit`` goes on from the present ones.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"facebook/bart-base"``, or a folder with ``config.json``, a tokenizer and
        safetensors weights: whatever ``AutoModelForSeq2SeqLM`` loads. Code in it is never run.
    prefix : str, default=""
        Set before every source text: ``"translate English to German: "`` and the like, which T5 expects.
    max_source_length, max_target_length : int, default=128 and 64
        Tokens at which a source text and a target text is cut, prefix and special tokens included. No
        prediction is longer than the second.
    num_beams : int, default=4
        Width of the beam search; 1 is greedy decoding.
    metric : {"sacrebleu", "rouge_l"}, default="sacrebleu"
        What ``score`` returns.
    lr : float, default=3e-4
        Learning rate of AdamW.
    batch_size : int, default=16
        Pairs an optimizer step. Prediction chooses its own batches.
    max_epochs : int, default=5
        Epochs, unless ``min_steps`` asks for more.
    min_steps : int, default=100
        Optimizer steps that are made at the least: with a handful of pairs the epochs are repeated.
    patience : int or None, default=None
        Stop after so many epochs in which the loss fell by less than ``min_delta``, and go back to the
        weights of the best one. None runs to the end and keeps the last weights.
    min_delta : float, default=1e-5
    validation_fraction : float or None, default=None
        Share of the pairs held out for early stopping; None watches the training loss.
    label_smoothing : float, default=0.0
        Share of the loss that goes to all tokens alike.
    weight_decay : float, default=0.01
    dropout : float or None, default=None
        Dropout probability while training; None for the model's own.
    schedule : {"constant", "linear"}, default="linear"
        Of the learning rate, after the warm-up; "linear" falls to 0 at the last step.
    warmup : float, default=0.1
        Share of the steps over which the learning rate rises from 0.
    max_grad_norm : float or None, default=1.0
        Clip the gradient's norm at it.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        What training and generation multiply in. "bfloat16" is autocast, with weights and loss in float32.
        "auto" takes it on a CPU or GPU that multiplies it natively. Sequence scores are always computed in
        float32.
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever there is.
    random_state : int, RandomState or None, default=None
        Seed of the order of batches, dropout and the held-out pairs. Global generators are left alone. An
        int gives the same model again on a CPU with as many threads; on a GPU up to float noise.
    verbose : int, default=0
        1 prints skorch's table of epochs.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net, trimmed for prediction; ``net_.module_.model`` is the transformers model.
    tokenizer_ : transformers tokenizer
    history_ : list of dict
        One an epoch of the last ``fit`` or ``partial_fit``: ``epoch``, ``train_loss`` in nats a target token
        (mean over batches), ``valid_loss`` where pairs are held out, ``dur`` in seconds.
    n_steps_ : int
        Optimizer steps made in it.
    n_updates_ : int
        Calls of ``partial_fit`` since ``fit``.

    See Also
    --------
    TransformerClassifier : The same for labels.

    Notes
    -----
    Decoding follows the model's own generation settings (forced tokens, no-repeat n-grams, a length penalty)
    but for beams, length and sampling, which is off. Batches hold texts of similar length; in bfloat16 the
    company a text is in can change a rounding, and so a prediction.

    ActivePrune's recipe for BART [1]_ (appendix C.1) is ``lr=2e-5, batch_size=16, max_epochs=5, min_steps=1,
    weight_decay=0.028, warmup=0.1, max_grad_norm=0.28``. A larger rate is the default here, since the small
    models that train on a CPU learn little at that one.

    A pickle holds the fine-tuned weights and needs no model folder where it is read.

    References
    ----------
    .. [1] A. H. Azeemi, I. A. Qazi and A. A. Raza, "Language model-driven data pruning enables efficient
       active learning", 2024, arXiv:2410.04275.

    Examples
    --------
    >>> from skprune import TransformerSeq2Seq
    >>> from skprune.datasets import fetch_model
    >>> translator = TransformerSeq2Seq(
    ...     fetch_model("t5-small-title"), prefix="translate English to German: ", random_state=0
    ... )  # doctest: +SKIP
    >>> translator.fit(english, german).predict(["no such file"])  # doctest: +SKIP
    array(['keine solche Datei'], dtype=object)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **FineTuned._parameter_constraints,
        "prefix": [str],
        "max_source_length": [Interval(Integral, 2, None, closed="left")],
        "max_target_length": [Interval(Integral, 2, None, closed="left")],
        "num_beams": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"sacrebleu", "rouge_l"})],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        prefix: str = "",
        max_source_length: int = 128,
        max_target_length: int = 64,
        num_beams: int = 4,
        metric: str = "sacrebleu",
        lr: float = 3e-4,
        batch_size: int = 16,
        max_epochs: int = 5,
        min_steps: int = 100,
        patience: int | None = None,
        min_delta: float = 1e-5,
        validation_fraction: float | None = None,
        label_smoothing: float = 0.0,
        weight_decay: float = 0.01,
        dropout: float | None = None,
        schedule: str = "linear",
        warmup: float = 0.1,
        max_grad_norm: float | None = 1.0,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.prefix = prefix
        self.max_source_length = max_source_length
        self.max_target_length = max_target_length
        self.num_beams = num_beams
        self.metric = metric
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.patience = patience
        self.min_delta = min_delta
        self.validation_fraction = validation_fraction
        self.label_smoothing = label_smoothing
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.schedule = schedule
        self.warmup = warmup
        self.max_grad_norm = max_grad_norm
        self.precision = precision
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> TransformerSeq2Seq:
        """Fine-tune the pretrained model on pairs of texts.

        Parameters
        ----------
        X : sequence of str
            Source texts: a list, a 1-D ndarray, a Series, a DataFrame of one column.
        y : sequence of str
            Their target texts; as ``X``.

        Returns
        -------
        TransformerSeq2Seq
            Itself.

        Raises
        ------
        ValueError
            If there are no texts, one is missing, ``y`` has another length, or a parameter is out of range.
        TypeError
            If a row is no text.
        ModelLoadError
            If the model does not load.
        """
        self._validate_params()
        sources, targets = _check_pairs(X, y)
        engine = import_engine("TransformerSeq2Seq")
        from skprune.models import seq2seq_nets as _seq2seq

        pretrained = _seq2seq.load_pretrained(self.model)
        longest = getattr(pretrained.model.config, "max_position_embeddings", None)
        for name in ("max_source_length", "max_target_length"):
            if longest is not None and getattr(self, name) > longest:
                raise ValueError(f"{name}={getattr(self, name)} exceeds the model's {longest} positions")
        device = choose_device(self.device, extra="models", purpose="TransformerSeq2Seq")
        module = pretrained.build(engine.choose_dtype(self.precision, device))
        seed = draw_seed(self.random_state)
        net = self._train(module, pretrained.tokenizer, sources, targets, device, seed)
        self.net_ = net
        self.tokenizer_ = pretrained.tokenizer
        self.seed_ = seed
        self.n_updates_ = 0
        return self

    def partial_fit(self, X: Any, y: Any) -> TransformerSeq2Seq:
        """Train on further pairs, from the present weights; on an unfitted estimator, ``fit``.

        Parameters and errors are those of :meth:`fit`. The optimizer and its schedule begin anew, and only
        these pairs are trained on: pass the old ones too, where they should not be forgotten. An
        interrupted update leaves the weights as they were.
        """
        if not hasattr(self, "net_"):
            return self.fit(X, y)
        self._validate_params()
        sources, targets = _check_pairs(X, y)
        module = copy.deepcopy(self.net_.module_)
        seed = int(generator(self.seed_, self.n_updates_ + 1).integers(2**31 - 1))
        device = choose_device(self.device, extra="models", purpose="TransformerSeq2Seq")
        self.net_ = self._train(module, self.tokenizer_, sources, targets, device, seed)
        self.n_updates_ += 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the target text of each source text by beam search, object ndarray of shape (n,)."""
        check_is_fitted(self)
        out = np.empty(len(texts := check_texts(X, "X")), dtype=object)
        for rows, _, sequences in self._generate(texts):
            out[rows] = self.tokenizer_.batch_decode(sequences, skip_special_tokens=True)
        return out

    def sequence_scores(self, X: Any) -> np.ndarray:
        """Return how likely the model finds what it predicts, float64 of shape (n,), at most 0.

        The natural logarithm of the geometric mean of the token probabilities of the sequence that
        :meth:`predict` decodes: (1/T) Σ ln p(token given those before it and the source). The end token
        counts as one of the T where the search came to it; the start token does not.
        """
        check_is_fitted(self)
        from skprune.models import nets as _net

        module = self.net_.module_
        n_tokens = _limit(_LOGITS_PER_BATCH, self.net_) // module.model.config.vocab_size
        scores = np.empty(len(texts := check_texts(X, "X")))
        for rows, sources, sequences in self._generate(texts):
            for part in _net.bucket(sequences, n_tokens):
                scores[rows[part]] = module.log_likelihood(
                    [sources[i] for i in part], [sequences[i] for i in part], self.tokenizer_.pad_token_id
                )
        return scores

    def score(self, X: Any, y: Any) -> float:
        """Return the ``metric`` of the predictions for ``X`` against the references ``y``.

        Returns
        -------
        float
            :func:`skprune.metrics.sacrebleu`, 0 to 100, or :func:`skprune.metrics.rouge_l`, 0 to 1.
        """
        check_is_fitted(self)
        sources, references = _check_pairs(X, y)
        hypotheses = self.predict(sources)
        measure = sacrebleu if self.metric == "sacrebleu" else rouge_l
        return measure(references.tolist(), hypotheses.tolist())

    def _train(
        self, module: Any, tokenizer: Any, sources: np.ndarray, targets: np.ndarray, device: Any, seed: int
    ) -> Any:
        """Return the net that comes of training the module."""
        from skprune.models import nets as _net
        from skprune.models import seq2seq_nets as _seq2seq

        pairs = _seq2seq.EncodedPairs(
            self._tokenize(tokenizer, sources),
            tokenizer(text_target=targets.tolist(), truncation=True, max_length=self.max_target_length)[
                "input_ids"
            ],
        )
        train, held_out = pairs, None
        if self.validation_fraction is not None:
            rows = train_test_split(
                np.arange(len(pairs)), test_size=self.validation_fraction, random_state=seed
            )
            train, held_out = (pairs.take(part) for part in rows)
        if self.dropout is not None:
            _net.set_dropout(module.model, self.dropout)
        with seeded_torch(seed):
            return self._train_net(
                _net.Trainable,
                module,
                train,
                held_out,
                None,
                device=device,
                pad_id=tokenizer.pad_token_id,
                seed=seed,
                criterion=_seq2seq.TokenCrossEntropy,
                criterion__ignore_index=_seq2seq.IGNORED,
                criterion__label_smoothing=self.label_smoothing,
            )

    def _tokenize(self, tokenizer: Any, texts: np.ndarray) -> list[list[int]]:
        prefixed = [self.prefix + text for text in texts]
        return tokenizer(
            prefixed, truncation=True, max_length=self.max_source_length, return_attention_mask=False
        )["input_ids"]

    def _generate(self, texts: np.ndarray) -> Iterator[tuple[np.ndarray, list[list[int]], list[list[int]]]]:
        """Yield rows of similar length, the token ids of their sources, and the best sequences."""
        from skprune.models import nets as _net

        tokens_per_batch = _limit(_TOKENS_PER_BATCH, self.net_) // self.num_beams
        for start in range(0, len(texts), _CHUNK):
            token_ids = self._tokenize(self.tokenizer_, texts[start : start + _CHUNK])
            for rows in _net.bucket(token_ids, tokens_per_batch):
                sources = [token_ids[row] for row in rows]
                yield (
                    start + rows,
                    sources,
                    self.net_.module_.generate(
                        sources, self.tokenizer_.pad_token_id, self.num_beams, self.max_target_length
                    ),
                )


def _check_pairs(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return sources and targets, both checked."""
    sources = check_texts(X, "X")
    if not len(sources):
        raise EmptyPoolError("X has no rows")
    if y is None:
        raise ValueError("y is None: every text of X needs a target text")
    targets = check_texts(y, "y")
    if len(targets) != len(sources):
        raise ValueError(f"y has {len(targets)} texts for {len(sources)} texts of X")
    return sources, targets


def _limit(by_device: dict[str, int], net: Any) -> int:
    """Return what a batch may hold on the net's device."""
    return by_device["cpu" if str(net.device) == "cpu" else "other"]
