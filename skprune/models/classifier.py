"""A fine-tuned transformer as a scikit-learn classifier of texts."""

from __future__ import annotations

import os
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d, compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skprune.hub.devices import choose_device, seeded_torch
from skprune.models.fine_tuning import FineTuned, import_engine
from skprune.pools import check_texts

if TYPE_CHECKING:
    from types import ModuleType

_CHUNK = 16_384  # texts tokenized at a time when predicting
_TOKENS_PER_BATCH = {"cpu": 4_096}  # padded tokens; elsewhere 65,536


class TransformerClassifier(ClassifierMixin, FineTuned):
    """Fine-tune a pretrained encoder on labeled texts, with skorch.

    Every ``fit`` starts from the pretrained weights, which are read from disk once per process.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"FacebookAI/roberta-base"``, or a folder with ``config.json``, a tokenizer and
        safetensors weights. Code in it is never run.
    pooling : {"mean", "model"}, default="mean"
        What the linear head sees: the mean over a text's tokens, or what the architecture's own
        sequence-classification head makes (BERT: the pooled first token). "model" is what the papers
        train; a mean learns faster from few labels, much so with a sentence encoder.
    max_length : int, default=128
        Tokens at which a text is cut, special tokens included.
    lr : float, default=4e-5
        Learning rate of AdamW.
    head_lr : float or None, default=None
        Learning rate of the linear head; None for ``lr``.
    batch_size : int, default=32
        Texts an optimizer step. Prediction chooses its own batches.
    max_epochs : int, default=10
        Epochs, unless ``min_steps`` asks for more.
    min_steps : int, default=100
        Optimizer steps that are made at the least: with a handful of texts the epochs are repeated.
    patience : int or None, default=3
        Stop after so many epochs in which the loss fell by less than ``min_delta``, and go back to the
        weights of the best one. None runs to the end and keeps the last weights.
    min_delta : float, default=1e-5
    validation_fraction : float or None, default=None
        Share of the texts held out, by class, for early stopping; None watches the training loss.
    class_weight : "balanced", dict or None, default=None
        Weight of each class in the loss, as everywhere in scikit-learn.
    weight_decay : float, default=0.01
    dropout : float or None, default=None
        Dropout probability while training; None for the model's own. 0 saves a CPU some 15 % of the time.
    frozen_layers : int, default=0
        Keep the embeddings and so many of the lowest layers as they are: faster, and less to overfit.
    schedule : {"constant", "linear"}, default="constant"
        Of the learning rate, after the warm-up; "linear" falls to 0 at the last step.
    warmup : float, default=0.0
        Share of the steps over which the learning rate rises from 0.
    max_grad_norm : float or None, default=None
        Clip the gradient's norm at it.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        "bfloat16" is autocast, with weights and head in float32. "auto" takes it on a CPU or GPU that
        multiplies it natively.
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever there is.
    random_state : int, RandomState or None, default=None
        Seed of the head, the order of batches, dropout and the held-out texts. Global generators are left
        alone. An int gives the same model again on a CPU with as many threads; on a GPU up to float noise.
    verbose : int, default=0
        1 prints skorch's table of epochs.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    net_ : skorch.NeuralNetClassifier
        The trained net, trimmed for prediction; ``net_.module_`` is the torch module.
    tokenizer_ : transformers tokenizer
    history_ : list of dict
        One an epoch: ``epoch``, ``train_loss``, ``valid_loss`` where texts are held out, ``dur`` in seconds.
    n_steps_ : int
        Optimizer steps made.

    See Also
    --------
    skprune.strategies : What to label next.

    Notes
    -----
    The defaults are AnchorAL's recipe [1]_ (appendix A.2: AdamW, 4e-5, constant, batches of 32, ten epochs,
    at least 100 steps, early stopping with a minimum delta of 1e-5), but for three of ours: the best epoch
    is that of the lowest loss, not of the highest F1 on the minority class, the head sees a mean, and texts
    are cut at 128 tokens, not 512.
    ActivePrune's [2]_ (appendix C.1) is ``pooling="model", lr=2e-5, batch_size=16, max_epochs=5, min_steps=1,
    patience=None, weight_decay=0.028, schedule="linear", warmup=0.1, max_grad_norm=0.28``.

    A pickle holds the fine-tuned weights and needs no model folder where it is read.

    References
    ----------
    .. [1] P. Lesci and A. Vlachos, "AnchorAL: Computationally efficient active learning for large and
       imbalanced datasets", NAACL 2024.
    .. [2] A. Azeemi, I. A. Qazi and A. A. Raza, "Language model-driven data pruning enables efficient active
       learning", 2024, arXiv:2410.04275.

    Examples
    --------
    >>> from skprune import TransformerClassifier
    >>> from skprune.datasets import fetch_model
    >>> classifier = TransformerClassifier(
    ...     fetch_model("minilm"), lr=2e-4, max_epochs=4, min_steps=1, random_state=0
    ... )  # doctest: +SKIP
    >>> classifier.fit(["a delight", "a bore"] * 8, ["pos", "neg"] * 8)  # doctest: +SKIP
    >>> classifier.predict(["what a bore"])  # doctest: +SKIP
    array(['neg'], dtype='<U3')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **FineTuned._parameter_constraints,
        "pooling": [StrOptions({"mean", "model"})],
        "max_length": [Interval(Integral, 3, None, closed="left")],
        "head_lr": [Interval(Real, 0, None, closed="neither"), None],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "frozen_layers": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        pooling: str = "mean",
        max_length: int = 128,
        lr: float = 4e-5,
        head_lr: float | None = None,
        batch_size: int = 32,
        max_epochs: int = 10,
        min_steps: int = 100,
        patience: int | None = 3,
        min_delta: float = 1e-5,
        validation_fraction: float | None = None,
        class_weight: str | dict[Any, float] | None = None,
        weight_decay: float = 0.01,
        dropout: float | None = None,
        frozen_layers: int = 0,
        schedule: str = "constant",
        warmup: float = 0.0,
        max_grad_norm: float | None = None,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.pooling = pooling
        self.max_length = max_length
        self.lr = lr
        self.head_lr = head_lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.patience = patience
        self.min_delta = min_delta
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.frozen_layers = frozen_layers
        self.schedule = schedule
        self.warmup = warmup
        self.max_grad_norm = max_grad_norm
        self.precision = precision
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> TransformerClassifier:
        """Fine-tune on labeled texts.

        Parameters
        ----------
        X : sequence of str
            A list, a 1-D ndarray, a Series, a DataFrame of one column.
        y : array-like of shape (n,)
            Labels of any kind.

        Returns
        -------
        TransformerClassifier
            Itself.

        Raises
        ------
        ValueError
            If a text or a label is missing, ``y`` has another length or holds one class only, or a parameter
            is out of range.
        ModelLoadError
            If the model does not load.
        """
        self._validate_params()
        texts = check_texts(X, "X")
        classes, codes = _check_labels(y, len(texts))
        weights = compute_class_weight(self.class_weight, classes=classes, y=classes[codes])
        engine = import_engine("TransformerClassifier")
        pretrained = engine.load_pretrained(self.model)
        longest = getattr(pretrained.model.config, "max_position_embeddings", self.max_length)
        if self.max_length > longest:
            raise ValueError(f"max_length={self.max_length} exceeds the model's {longest} positions")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        token_ids = self._tokenize(pretrained.tokenizer, texts)
        with seeded_torch(seed):
            net = self._train(engine, pretrained, token_ids, codes, weights, seed)
        self.classes_ = classes
        self.net_ = net
        self.tokenizer_ = pretrained.tokenizer
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, float64 of shape (n, n_classes), columns as in ``classes_``."""
        check_is_fitted(self)
        return softmax(self._infer(X, self.net_.module_, len(self.classes_)).astype(np.float64), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely label of each text."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def penultimate(self, X: Any) -> np.ndarray:
        """Return what the linear head sees of each text, float32 of shape (n, n_features)."""
        check_is_fitted(self)
        module = self.net_.module_
        return self._infer(X, module.features, module.head.in_features)

    def proba_from_penultimate(self, features: np.ndarray) -> np.ndarray:
        """Return what :meth:`predict_proba` gives for the texts that :meth:`penultimate` made features of.

        The encoder, which is all the time it takes, need not run again. The two agree up to the rounding of
        float32.

        Parameters
        ----------
        features : ndarray of float32, shape (n, n_features)

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
        """
        check_is_fitted(self)
        import torch

        head = self.net_.module_.head
        with torch.inference_mode():
            logits = head(torch.from_numpy(features).to(head.weight.device)).cpu().numpy()
        return softmax(logits.astype(np.float64), axis=1)

    def _tokenize(self, tokenizer: Any, texts: np.ndarray) -> list[list[int]]:
        encoded = tokenizer(
            texts.tolist(), truncation=True, max_length=self.max_length, return_attention_mask=False
        )
        return encoded["input_ids"]

    def _train(
        self,
        engine: ModuleType,
        pretrained: Any,
        token_ids: list[list[int]],
        codes: np.ndarray,
        class_weights: np.ndarray,
        seed: int,
    ) -> Any:
        """Build the skorch net and train it."""
        import torch

        train, held_out = self._split(engine, token_ids, codes, seed)
        device = choose_device(self.device, extra="models", purpose="TransformerClassifier")
        dtype = engine.choose_dtype(self.precision, device)
        module = pretrained.build(len(class_weights), self.pooling, dtype)
        engine.freeze(module.encoder, self.frozen_layers)
        if self.dropout is not None:
            engine.set_dropout(module.encoder, self.dropout)
        with engine.attention_to_train(module.encoder, device):
            return self._train_net(
                engine.Net,
                module,
                train,
                held_out,
                codes[: len(train)],
                device=device,
                pad_id=pretrained.tokenizer.pad_token_id,
                seed=seed,
                criterion=torch.nn.CrossEntropyLoss,
                criterion__weight=torch.tensor(class_weights, dtype=torch.float32),
                optimizer__param_groups=[("head.*", {"lr": self.head_lr or self.lr})],
                # It would take predictions in the order of the batches for those of the rows.
                callbacks__valid_acc=None,
                classes=np.arange(len(class_weights)),
            )

    def _split(self, engine: ModuleType, token_ids: list[list[int]], codes: np.ndarray, seed: int) -> Any:
        """Return the training rows, and those held out or None."""
        if self.validation_fraction is None:
            return engine.EncodedTexts(token_ids, codes), None
        alone = np.bincount(codes)[codes] == 1  # a class of one text is trained on
        train, held_out = train_test_split(
            np.flatnonzero(~alone),
            test_size=self.validation_fraction,
            stratify=codes[~alone],
            random_state=seed,
        )
        parts = [np.concatenate([train, np.flatnonzero(alone)]), held_out]
        return [engine.EncodedTexts([token_ids[i] for i in rows], codes[rows]) for rows in parts]

    def _infer(self, X: Any, function: Callable[..., Any], n_columns: int) -> np.ndarray:
        """Return ``function`` of every text's tokens, float32 of shape (n, n_columns)."""
        import torch

        engine = import_engine("TransformerClassifier")
        texts = check_texts(X, "X")
        device = torch.device(self.net_.device)
        tokens_per_batch = _TOKENS_PER_BATCH.get(device.type, 65_536)
        out = np.empty((len(texts), n_columns), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(texts), _CHUNK):
                token_ids = self._tokenize(self.tokenizer_, texts[start : start + _CHUNK])
                for rows in engine.bucket(token_ids, tokens_per_batch):
                    batch = engine.pad([token_ids[row] for row in rows], self.tokenizer_.pad_token_id)
                    batch = {name: tensor.to(device) for name, tensor in batch.items()}
                    out[start + rows] = function(**batch).cpu().numpy()
        return out


def _check_labels(y: Any, n_texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, and the number of each row's."""
    labels = column_or_1d(np.asarray(y))
    if len(labels) != n_texts:
        raise ValueError(f"y has {len(labels)} labels for {n_texts} texts")
    for row, label in enumerate(labels.tolist()):
        if label is None or label != label:
            raise ValueError(f"y[{row}] is missing: every text must have a label")
    check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least two classes, got {classes.tolist()}")
    return classes, codes
