"""A fine-tuned transformer as a scikit-learn classifier of texts."""

from __future__ import annotations

import os
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d, compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skprune.hub.devices import choose_device, seeded_torch
from skprune.models.fine_tuning import FineTuned
from skprune.models.nets import (
    EncodedTexts,
    PretrainedEncoder,
    TrainableNet,
    attention_for_training,
    choose_dtype,
    freeze,
    load_encoder,
    pad,
    set_dropout,
)
from skprune.pools import check_texts


class TransformerClassifier(ClassifierMixin, FineTuned):
    """Fine-tune a pretrained transformer on labeled texts, with skorch.

    Every ``fit`` starts from the pretrained weights, which are read from disk once per process.
    :func:`skprune.hub.clear_models` frees that copy.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"FacebookAI/roberta-base"`` (a download of 0.5 GB), or a folder with
        ``config.json``, a tokenizer and safetensors weights. Code in the folder is never run. If the hub does
        not answer, or ``HF_HUB_OFFLINE=1`` is set, a name is taken from the hub's local cache.
    pooling : {"mean", "model"}, default="mean"
        Input of the linear head: "mean" is the mean over the tokens of a text; "model" is the output of the
        architecture's own sequence-classification head before its last layer (BERT: the pooled first
        token; GPT-2 and other decoders: the last token), as the papers train it. The mean learns faster from
        few labels, and much faster with a sentence encoder. For an encoder–decoder such as T5 or BART, "mean"
        trains the encoder alone.
    max_length : int, default=128
        Maximum number of tokens per text, including special tokens; longer texts are cut.
    lr : float, default=4e-5
        Learning rate of AdamW.
    head_lr : float or None, default=None
        Learning rate of the linear head; None for ``lr``.
    batch_size : int, default=32
        Texts per optimizer step. Prediction chooses its own batches.
    max_epochs : int, default=10
        Number of epochs, unless ``min_steps`` requires more.
    min_steps : int, default=100
        Minimum number of optimizer steps. With few texts, epochs are added until it is reached.
    patience : int or None, default=3
        Stop after this many epochs in which the loss fell by less than ``min_delta``, and restore the
        weights of the best epoch. None trains to the end and keeps the last weights.
    min_delta : float, default=1e-5
        Smallest decrease of the loss that counts as an improvement.
    validation_fraction : float or None, default=None
        Share of the texts held out, stratified by class, for early stopping; None watches the training loss.
    class_weight : "balanced", dict or None, default=None
        Weight of each class in the loss, as in scikit-learn.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    dropout : float or None, default=None
        Dropout probability in training; None for the model's own. 0 saves about 15 % of the time on a CPU.
    frozen_layers : int, default=0
        Exclude the embeddings and this many of the lowest layers from training, which is faster and reduces
        overfitting.
    schedule : {"constant", "linear"}, default="constant"
        Learning rate after the warm-up; "linear" decreases to 0 at the last step.
    warmup : float, default=0.0
        Share of the steps over which the learning rate rises from 0.
    max_grad_norm : float or None, default=None
        Maximum norm of the gradient; larger gradients are clipped. None clips nothing.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        "bfloat16" is autocast, with weights and head in float32. "auto" is bfloat16 on a CPU or GPU that
        multiplies it natively, else float32.
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever is available.
    random_state : int, RandomState or None, default=None
        Seed of the head, the order of batches, dropout and the held-out texts. Global generators are not
        changed. An int gives the same model again on a CPU with the same number of threads; on a GPU the
        models differ by rounding.
    verbose : int, default=0
        0 shows a progress bar after two seconds, on a terminal only. 1 prints skorch's table of epochs, and
        shows the bars of loading and prediction everywhere.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    net_ : skorch.NeuralNet
        The trained net, trimmed for prediction; ``net_.module_`` is the torch module.
    tokenizer_ : transformers tokenizer
        The tokenizer of the pretrained model.
    history_ : list of dict
        One entry per epoch: ``epoch``, ``train_loss``, ``valid_loss`` if texts are held out, ``dur`` in
        seconds.
    n_steps_ : int
        Number of optimizer steps made.

    See Also
    --------
    TransformerSeq2Seq : The same for pairs of texts.
    skprune.strategies : Choose what to label next.

    Notes
    -----
    The defaults are AnchorAL's recipe [1]_ (appendix A.2: AdamW, 4e-5, constant, batches of 32, ten epochs,
    at least 100 steps, early stopping with a minimum delta of 1e-5), with three differences: the best epoch
    has the lowest loss instead of the highest F1 on the minority class, the head's input is a mean, and texts
    are cut at 128 tokens instead of 512.
    ActivePrune's [2]_ (appendix C.1) is ``pooling="model", lr=2e-5, batch_size=16, max_epochs=5, min_steps=1,
    patience=None, weight_decay=0.028, schedule="linear", warmup=0.1, max_grad_norm=0.28``.

    A tokenizer without a padding token, such as GPT-2's, pads with its end-of-text token.

    A pickle contains the fine-tuned weights, and can be loaded without the model folder.

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
            If a text or a label is missing, ``y`` has another length or holds a single class, or a parameter
            is out of range.
        ModelLoadError
            If the model does not load.
        """
        self._validate_params()
        texts = check_texts(X, "X")
        classes, codes = _check_labels(y, len(texts))
        weights = compute_class_weight(self.class_weight, classes=classes, y=classes[codes])
        pretrained = load_encoder(self.model, verbose=self.verbose)
        longest = getattr(pretrained.model.config, "max_position_embeddings", self.max_length)
        if self.max_length > longest:
            raise ValueError(f"max_length={self.max_length} exceeds the model's {longest} positions")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        token_ids = self._tokenize(pretrained.tokenizer, texts)
        net = self._train(pretrained, token_ids, codes, weights, seed)
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
        """Return the input of the linear head for each text, float32 of shape (n, n_features)."""
        check_is_fitted(self)
        module = self.net_.module_
        return self._infer(X, module.features, module.head.in_features)

    def proba_from_penultimate(self, features: np.ndarray) -> np.ndarray:
        """Return the class probabilities of texts from their :meth:`penultimate` features.

        The encoder, which takes nearly all of the time, does not run again. The result equals that of
        :meth:`predict_proba` up to rounding in float32.

        Parameters
        ----------
        features : ndarray of float32, shape (n, n_features)

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
        """
        check_is_fitted(self)
        head = self.net_.module_.head
        with torch.inference_mode():
            logits = head(torch.from_numpy(features).to(head.weight.device)).cpu().numpy()
        return softmax(logits.astype(np.float64), axis=1)

    def _tokenize(self, tokenizer: Any, texts: np.ndarray) -> list[list[int]]:
        encoded = tokenizer(
            texts.tolist(), truncation=True, max_length=self.max_length, return_attention_mask=False
        )
        # A decoder's tokenizer makes no token of an empty text, and nothing has no mean.
        return [ids or [tokenizer.pad_token_id] for ids in encoded["input_ids"]]

    def _train(
        self,
        pretrained: PretrainedEncoder,
        token_ids: list[list[int]],
        codes: np.ndarray,
        class_weights: np.ndarray,
        seed: int,
    ) -> TrainableNet:
        """Return a net trained on the texts that are not held out."""
        train = EncodedTexts(token_ids, codes, pretrained.tokenizer.pad_token_id)
        held_out = None
        if self.validation_fraction is not None:
            train, held_out = (train.take(rows) for rows in self._split(codes, seed))
        device = choose_device(self.device, extra="models", purpose="TransformerClassifier")
        with seeded_torch(seed):
            dtype = choose_dtype(self.precision, device)
            module = pretrained.build(len(class_weights), self.pooling, dtype)
            freeze(module.encoder, self.frozen_layers)
            if self.dropout is not None:
                set_dropout(module.encoder, self.dropout)
            with attention_for_training(module.encoder, device):
                return self._train_net(
                    module,
                    train,
                    held_out,
                    device=device,
                    seed=seed,
                    criterion=torch.nn.CrossEntropyLoss,
                    criterion__weight=torch.tensor(class_weights, dtype=torch.float32),
                    optimizer__param_groups=[("head.*", {"lr": self.head_lr or self.lr})],
                )

    def _split(self, codes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to train on and the rows to hold out; a class of one text is trained on."""
        is_alone = np.bincount(codes)[codes] == 1
        train, held_out = train_test_split(
            np.flatnonzero(~is_alone),
            test_size=self.validation_fraction,
            stratify=codes[~is_alone],
            random_state=seed,
        )
        return np.concatenate([train, np.flatnonzero(is_alone)]), held_out

    def _infer(self, X: Any, function: Callable[..., torch.Tensor], n_columns: int) -> np.ndarray:
        """Return ``function`` of the tokens of each text, float32 of shape (n, n_columns)."""
        texts = check_texts(X, "X")
        out = np.empty((len(texts), n_columns), dtype=np.float32)
        with torch.inference_mode():
            for rows, token_ids in self._token_batches(texts):
                batch = pad(token_ids, self.tokenizer_.pad_token_id, self.net_.device)
                out[rows] = function(**batch).cpu().numpy()
        return out


def _check_labels(y: Any, n_texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, and the class number of each row."""
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
