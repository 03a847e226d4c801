"""FixMatch: what a net is sure of in a weak view, it learns to see in a strong one."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skprune.filters.semi_prune.net_classifier import NetClassifier, run_epochs
from skprune.filters.semi_prune.scaling import check_classes
from skprune.pools import check_labels


class FixMatchClassifier(NetClassifier):
    """A net trained on few labels and many rows without one.

    Parameters
    ----------
    module : {"auto", "mlp", "conv"} or callable, default="auto"
        ``"mlp"`` has one hidden layer; ``"conv"`` two convolutions before it, for images; ``"auto"`` is what
        suits the rows. A callable ``(row_shape, n_classes) -> torch.nn.Module`` returns logits.
    views : "auto" or views, default="auto"
        What a weak and a strong view of a row are: :class:`VectorViews` for numeric
        rows, :class:`ImageViews` for arrays of more dimensions; for texts pass
        :class:`TextViews`.
    threshold : float, default=0.95
        Probability of the weak view from which its guess is learned (τ).
    lambda_u : float, default=1.0
        Weight of the rows without a label (λ).
    mu : int, default=7
        Rows without a label for each labeled one, in a batch (μ).
    n_hidden : int, default=128
        Width of the hidden layer.
    max_epochs : int, default=30
        Passes over the rows, unless ``min_steps`` asks for more.
    min_steps : int, default=300
        Optimizer steps that are made at the least.
    batch_size : int, default=64
        Labeled rows a step.
    lr : float, default=1e-3
        Learning rate of AdamW.
    weight_decay : float, default=0.01
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever there is.
    random_state : int, RandomState or None, default=None
        Seed of the weights, the order of batches and the views. Global generators are left alone.
    verbose : int, default=0
        1 prints skorch's table of epochs.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    module_ : torch.nn.Module
    n_steps_ : int
        Optimizer steps made.

    See Also
    --------
    sklearn.semi_supervised.SelfTrainingClassifier : Around any classifier.
    SemiPruneFilter : Takes either for its pseudo-labels.

    Notes
    -----
    FixMatch [1]_: a step minimizes L_sup + λ · mean of 1[max p_weak ≥ τ] · CE(argmax p_weak, p_strong), over
    ``batch_size`` labeled rows and μ times as many of all rows, the labeled ones included. Ours: AdamW at
    a constant rate in place of SGD with a cosine, and no moving average of the weights; the runs are short.

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
        """Train on all rows, from scratch.

        Parameters
        ----------
        X : array or csr matrix of shape (n, n_features), array of images, or sequence of str
            Texts where ``views`` reads them.
        y : array-like of shape (n,)
            −1, NaN or None where there is no label.

        Raises
        ------
        ValueError
            If there is no label or one class only, ``y`` has another length, or ``X`` is not finite.
        """
        self._validate_params()
        X = self._read(X, reset=True)
        labels, known = check_labels(y, X.shape[0])
        check_classes(labels[known])
        # None among numbers makes them objects: read alone they are numbers again.
        classes, found = np.unique(np.array(labels[known].tolist()), return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y must hold labels of at least two classes, got {classes.tolist()}")
        codes = np.full(len(labels), -1)
        codes[known] = found
        engine = self._engine
        self._begin(X, classes)
        net = self._net(
            engine.FixMatchNet,
            engine.FixMatchModule(self.module_, self.batch_size),
            threshold=self.threshold,
            lambda_u=self.lambda_u,
            iterator_train=engine.FixMatchBatches,
            iterator_train__mu=self.mu,
            iterator_train__rng=self._stream(0),
        )
        rows = engine.Rows(self.views_, self.views_.load(X, self._stream(1)), codes)
        steps = -(-len(rows) // (self.mu * self.batch_size))
        n_epochs = max(self.max_epochs, -(-self.min_steps // steps))
        run_epochs(net, rows, n_epochs)
        self.n_steps_ = n_epochs * steps
        return self
