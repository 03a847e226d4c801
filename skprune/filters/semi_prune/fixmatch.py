"""FixMatch: confident predictions on weak views become targets for strong views of the same rows."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skprune.filters.semi_prune.net_classifier import NetClassifier, run_epochs
from skprune.filters.semi_prune.nets import FixMatchBatches, FixMatchModule, FixMatchNet, Rows
from skprune.labels import check_classes, check_labels


class FixMatchClassifier(NetClassifier):
    """A net trained on few labeled and many unlabeled rows.

    Parameters
    ----------
    module : {"auto", "mlp", "conv"} or callable, default="auto"
        ``"mlp"`` has one hidden layer; ``"conv"``, for images, has two convolutions before it; ``"auto"`` is
        ``"conv"`` for images, else ``"mlp"``. A callable ``(row_shape, n_classes)`` returns a torch module
        whose outputs are logits.
    views : "auto" or views, default="auto"
        How weak and strong views of a row are made. "auto" is
        :class:`~skprune.filters.semi_prune.views.VectorViews` for numeric rows and
        :class:`~skprune.filters.semi_prune.views.ImageViews` for arrays of more dimensions. For texts, pass
        :class:`~skprune.filters.semi_prune.views.TextViews`.
    threshold : float, default=0.95
        Confidence threshold: the class that the net predicts for a weak view becomes the target of the
        strong view if its probability is at least this (τ in the paper).
    lambda_u : float, default=1.0
        Weight of the loss on unlabeled rows, relative to the loss on labeled rows (λ_u in the paper).
    mu : int, default=7
        Number of unlabeled rows per labeled row in a batch (μ in the paper).
    n_hidden : int, default=128
        Width of the hidden layer.
    max_epochs : int, default=30
        Number of passes over the rows, unless ``min_steps`` requires more.
    min_steps : int, default=300
        Minimum number of optimizer steps.
    batch_size : int, default=64
        Labeled rows per optimizer step.
    lr : float, default=1e-3
        Learning rate of AdamW.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever is available.
    random_state : int, RandomState or None, default=None
        Seed of the weights, the order of batches and the views. Global generators are not changed.
    verbose : int, default=0
        1 prints skorch's table of epochs.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    module_ : torch.nn.Module
        The trained module.
    n_steps_ : int
        Number of optimizer steps made.

    See Also
    --------
    sklearn.semi_supervised.SelfTrainingClassifier : Self-training of any classifier.
    SemiPruneFilter : Uses either to make pseudo-labels.

    Notes
    -----
    FixMatch [1]_: each step minimizes L_sup + λ_u · mean of 1[max p_weak ≥ τ] · CE(argmax p_weak, p_strong).
    L_sup is the cross entropy on ``batch_size`` labeled rows; the mean is over μ times as many of all rows,
    including labeled ones. Two deviations from the paper, since the runs are short: AdamW at a constant
    learning rate instead of SGD with a cosine schedule, and no moving average of the weights.

    References
    ----------
    .. [1] K. Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence",
       NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skprune import FixMatchClassifier
    >>> X = np.random.default_rng(0).normal(np.repeat([[0.0], [3.0]], 100, axis=0), 0.5, (200, 4))
    >>> y = np.full(200, -1)
    >>> y[[0, 199]] = 0, 1
    >>> model = FixMatchClassifier(min_steps=40, random_state=0).fit(X, y)
    >>> bool((model.predict(X) == np.repeat([0, 1], 100)).mean() > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NetClassifier._parameter_constraints,
        "views": [StrOptions({"auto"}), HasMethods(["fit", "load", "plain", "weak", "strong"])],
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "lambda_u": [Interval(Real, 0, None, closed="left")],
        "mu": [Interval(Integral, 1, None, closed="left")],
        "min_steps": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        module: Any = "auto",
        *,
        views: Any = "auto",
        threshold: float = 0.95,
        lambda_u: float = 1.0,
        mu: int = 7,
        n_hidden: int = 128,
        max_epochs: int = 30,
        min_steps: int = 300,
        batch_size: int = 64,
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.module = module
        self.views = views
        self.threshold = threshold
        self.lambda_u = lambda_u
        self.mu = mu
        self.n_hidden = n_hidden
        self.max_epochs = max_epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> FixMatchClassifier:
        """Train on all rows from scratch.

        Parameters
        ----------
        X : array or csr matrix of shape (n, n_features), array of images, or sequence of str
            Texts if ``views`` reads texts.
        y : array-like of shape (n,)
            Labels; −1, NaN or None marks an unlabeled row.

        Raises
        ------
        ValueError
            If the labels hold fewer than two classes, ``y`` has another length, or ``X`` is not finite.
        """
        self._validate_params()
        X = self._read(X, reset=True)
        labels, known = check_labels(y, X.shape[0])
        check_classes(labels[known])
        # Numbers mixed with None form an object array; rebuilt without None, the array is numeric.
        classes, found = np.unique(np.array(labels[known].tolist()), return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y must hold labels of at least two classes, got {classes.tolist()}")
        codes = np.full(len(labels), -1)
        codes[known] = found
        self._build_module(X, classes)
        net = self._build_net(
            FixMatchNet,
            FixMatchModule(self.module_, self.batch_size),
            threshold=self.threshold,
            lambda_u=self.lambda_u,
            iterator_train=FixMatchBatches,
            iterator_train__mu=self.mu,
            iterator_train__rng=self._stream(0),
        )
        rows = Rows(self.views_, self.views_.load(X, self._stream(1)), codes)
        steps = -(-len(rows) // (self.mu * self.batch_size))
        n_epochs = max(self.max_epochs, -(-self.min_steps // steps))
        run_epochs(net, rows, n_epochs)
        self.n_steps_ = n_epochs * steps
        return self
