"""A fine-tuned encoder–decoder that learns texts from texts: translation, summarization."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skprune.exceptions import EmptyPoolError
from skprune.hub.devices import choose_device, seeded_torch
from skprune.metrics import rouge_l, sacrebleu
from skprune.models.fine_tuning import FineTuned
from skprune.models.nets import TrainableNet, choose_dtype, set_dropout, split_by_length
from skprune.models.seq2seq_nets import (
    IGNORED,
    EncodedPairs,
    Seq2SeqModule,
    TokenCrossEntropy,
    load_seq2seq,
)
from skprune.pools import check_texts
from skprune.streams import draw_seed, generator

_LOGITS_PER_BATCH = {"cpu": 2**24, "other": 2**28}  # float32, when scoring: 64 MiB, 1 GiB


class TransformerSeq2Seq(FineTuned):
    """Fine-tune a pretrained encoder–decoder on pairs of texts, with skorch.

    Every ``fit`` starts from the pretrained weights, which are read from disk once per process;
    ``partial_fit`` continues from the current weights. :func:`skprune.hub.clear_models` frees the copy of the
    pretrained weights.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"facebook/bart-base"`` (a download of 0.6 GB), or a folder with ``config.json``,
        a tokenizer and safetensors weights: any model that ``AutoModelForSeq2SeqLM`` loads. Code in the
        folder is never run. If the hub does not answer, or ``HF_HUB_OFFLINE=1`` is set, a name is taken from
        the hub's local cache.
    prefix : str, default=""
        Text put before every source text, such as ``"translate English to German: "``, which T5 expects.
    max_source_length, max_target_length : int, default=128 and 64
        Maximum number of tokens per source text and per target text, including prefix and special tokens;
        longer texts are cut. ``max_target_length`` also limits predictions.
    num_beams : int, default=4
        Width of the beam search; 1 is greedy decoding.
    metric : {"sacrebleu", "rouge_l"}, default="sacrebleu"
        The metric that ``score`` returns.
    lr : float, default=3e-4
        Learning rate of AdamW.
    batch_size : int, default=16
        Pairs per optimizer step. Prediction chooses its own batches.
    max_epochs : int, default=5
        Number of epochs, unless ``min_steps`` requires more.
    min_steps : int, default=100
        Minimum number of optimizer steps. With few pairs, epochs are added until it is reached.
    patience : int or None, default=None
        Stop after this many epochs in which the loss fell by less than ``min_delta``, and restore the
        weights of the best epoch. None trains to the end and keeps the last weights.
    min_delta : float, default=1e-5
        Smallest decrease of the loss that counts as an improvement.
    validation_fraction : float or None, default=None
        Share of the pairs held out for early stopping; None watches the training loss.
    label_smoothing : float, default=0.0
        Share of the target probability that is spread evenly over all tokens.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    dropout : float or None, default=None
        Dropout probability in training; None for the model's own.
    schedule : {"constant", "linear"}, default="linear"
        Learning rate after the warm-up; "linear" decreases to 0 at the last step.
    warmup : float, default=0.1
        Share of the steps over which the learning rate rises from 0.
    max_grad_norm : float or None, default=1.0
        Maximum norm of the gradient; larger gradients are clipped. None clips nothing.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of training and generation. "bfloat16" is autocast, with weights and loss in float32.
        "auto" is bfloat16 on a CPU or GPU that multiplies it natively, else float32. Sequence scores are
        always computed in float32.
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever is available.
    random_state : int, RandomState or None, default=None
        Seed of the order of batches, dropout and the held-out pairs. Global generators are not changed. An
        int gives the same model again on a CPU with the same number of threads; on a GPU the models differ
        by rounding.
    verbose : int, default=0
        0 shows a progress bar after two seconds, on a terminal only. 1 prints skorch's table of epochs, and
        shows the bars of loading and prediction everywhere.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net, trimmed for prediction; ``net_.module_.model`` is the transformers model.
    tokenizer_ : transformers tokenizer
        The tokenizer of the pretrained model.
    history_ : list of dict
        One entry per epoch of the last ``fit`` or ``partial_fit``: ``epoch``, ``train_loss`` in nats per
        target token (mean over batches), ``valid_loss`` if pairs are held out, ``dur`` in seconds.
    n_steps_ : int
        Number of optimizer steps made in the last ``fit`` or ``partial_fit``.
    n_updates_ : int
        Number of calls of ``partial_fit`` since ``fit``.
    seed_ : int
        The seed that ``random_state`` gave at ``fit``.

    See Also
    --------
    TransformerClassifier : The same for labels.

    Notes
    -----
    Decoding follows the model's own generation settings (forced tokens, no-repeat n-grams, a length penalty),
    except for beams, length and sampling, which is off. Batches hold texts of similar length. In bfloat16,
    the other texts of a batch can change the rounding, and so a prediction.

    ActivePrune's recipe for BART [1]_ (appendix C.1) is ``lr=2e-5, batch_size=16, max_epochs=5, min_steps=1,
    weight_decay=0.028, warmup=0.1, max_grad_norm=0.28``. The default learning rate is larger, because the
    small models that train on a CPU learn little at 2e-5.

    A pickle contains the fine-tuned weights, and can be loaded without the model folder.

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
            The target text of each source text, in the same containers as ``X``.

        Returns
        -------
        TransformerSeq2Seq
            Itself.

        Raises
        ------
        ValueError
            If there are no texts, one is missing, ``y`` has another length, or a parameter is out of range.
        TypeError
            If a row is not a text.
        ModelLoadError
            If the model does not load.
        """
        self._validate_params()
        sources, targets = _check_pairs(X, y)
        pretrained = load_seq2seq(self.model, verbose=self.verbose)
        longest = getattr(pretrained.model.config, "max_position_embeddings", None)
        for name in ("max_source_length", "max_target_length"):
            if longest is not None and getattr(self, name) > longest:
                raise ValueError(f"{name}={getattr(self, name)} exceeds the model's {longest} positions")
        device = choose_device(self.device, extra="models", purpose="TransformerSeq2Seq")
        module = pretrained.build(choose_dtype(self.precision, device))
        seed = draw_seed(self.random_state)
        net = self._train(module, pretrained.tokenizer, sources, targets, device, seed)
        self.net_ = net
        self.tokenizer_ = pretrained.tokenizer
        self.seed_ = seed
        self.n_updates_ = 0
        return self

    def partial_fit(self, X: Any, y: Any) -> TransformerSeq2Seq:
        """Continue the training on further pairs; on an unfitted estimator, call ``fit``.

        Parameters and errors are those of :meth:`fit`. The optimizer and its schedule start anew. Only the
        given pairs are trained on: pass the old ones too if the model should not forget them. An interrupted
        update leaves the weights unchanged.
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
        """Return the model's confidence in each prediction, float64 of shape (n,), at most 0.

        It is the natural logarithm of the geometric mean of the token probabilities of the sequence that
        :meth:`predict` decodes: (1/T) Σ ln p(token | the tokens before it, the source). The T tokens include
        the end token if the search reached it, but not the start token.
        """
        check_is_fitted(self)
        module = self.net_.module_
        n_tokens = self._batch_limit(_LOGITS_PER_BATCH) // module.model.config.vocab_size
        scores = np.empty(len(texts := check_texts(X, "X")))
        for rows, sources, sequences in self._generate(texts):
            for part in split_by_length(sequences, n_tokens):
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
        self,
        module: Seq2SeqModule,
        tokenizer: Any,
        sources: np.ndarray,
        targets: np.ndarray,
        device: torch.device,
        seed: int,
    ) -> TrainableNet:
        """Train the module on the pairs that are not held out, and return its net."""
        target_ids = tokenizer(
            text_target=targets.tolist(), truncation=True, max_length=self.max_target_length
        )["input_ids"]
        train = EncodedPairs(self._tokenize(tokenizer, sources), target_ids, tokenizer.pad_token_id)
        held_out = None
        if self.validation_fraction is not None:
            rows = train_test_split(
                np.arange(len(train)), test_size=self.validation_fraction, random_state=seed
            )
            train, held_out = (train.take(part) for part in rows)
        if self.dropout is not None:
            set_dropout(module.model, self.dropout)
        with seeded_torch(seed):
            return self._train_net(
                module,
                train,
                held_out,
                device=device,
                seed=seed,
                criterion=TokenCrossEntropy,
                criterion__ignore_index=IGNORED,
                criterion__label_smoothing=self.label_smoothing,
            )

    def _tokenize(self, tokenizer: Any, texts: np.ndarray) -> list[list[int]]:
        prefixed = [self.prefix + text for text in texts]
        return tokenizer(
            prefixed, truncation=True, max_length=self.max_source_length, return_attention_mask=False
        )["input_ids"]

    def _generate(self, texts: np.ndarray) -> Iterator[tuple[np.ndarray, list[list[int]], list[list[int]]]]:
        """Yield batches: their rows, the token ids of the sources, and the best sequences."""
        for rows, sources in self._token_batches(texts, n_beams=self.num_beams):
            sequences = self.net_.module_.generate(
                sources, self.tokenizer_.pad_token_id, self.num_beams, self.max_target_length
            )
            yield rows, sources, sequences


def _check_pairs(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the checked sources and targets."""
    sources = check_texts(X, "X")
    if not len(sources):
        raise EmptyPoolError("X has no rows")
    if y is None:
        raise ValueError("y is None: every text of X needs a target text")
    targets = check_texts(y, "y")
    if len(targets) != len(sources):
        raise ValueError(f"y has {len(targets)} texts for {len(sources)} texts of X")
    return sources, targets
