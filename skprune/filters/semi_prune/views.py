"""Views of a row for consistency training: plain, weakly changed, strongly changed.

The operations on images are written here instead of taken from torchvision (0.29.1, ``transforms.v2``), for
three reasons:

- Its wheel on PyPI needs the CUDA build of torch. With the CPU build of torch 2.13.0, ``import torchvision``
  fails: "operator torchvision::nms does not exist".
- Its transforms draw once per call, so every image of a batch needs its own call. For 448 images of 28 × 28
  on one core, the strong view takes 330 ms, against 18 ms here; the weak view takes 210 ms, against 9 ms.
- They draw from torch's global generator and take no other.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone

from skprune._optional import optional_imports
from skprune.encoders import make_encoder
from skprune.filters.semi_prune.scaling import CommonScaler
from skprune.fitting import fitted_on
from skprune.pools import check_texts

with optional_imports(extra="models", purpose="Training a neural net"):
    import torch
    from torch.nn import functional

# The largest change of each strong operation on images: radians, slopes, shares of the side.
_ROTATION, _SHEAR, _SHIFT, _CUTOUT = np.pi / 6, 0.3, 0.3, 0.5
_N_OPERATIONS = 10  # number 0 changes nothing; ImageViews._geometric has 1 to 5, ._photometric 6 to 9


class Views(Protocol):
    """Turns rows into tensors for a module.

    :meth:`load` prepares the rows once. The three views take its result, ``loaded``, and the rows of a batch.
    """

    def fit(self, X: Any) -> Views:
        """Learn the scale of the rows."""

    def load(self, X: Any, rng: np.random.Generator | None = None) -> Any:
        """Prepare ``X``: for plain views only, or with ``rng`` for weak and strong views too."""

    def plain(self, loaded: Any, rows: np.ndarray) -> torch.Tensor:
        """Return the unchanged rows, float32."""

    def weak(self, loaded: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the rows after a small change that keeps their labels."""

    def strong(self, loaded: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the rows after a large change that makes them hard to recognize."""


class VectorViews(BaseEstimator):
    """Views of numeric rows: added noise and dropped features.

    Features are centered, and all divided by one number
    (:class:`~skprune.filters.semi_prune.scaling.CommonScaler`).

    Parameters
    ----------
    weak_noise, strong_noise : float, default=0.1 and 0.3
        Standard deviation of Gaussian noise, in root-mean-square deviations of the features.
    dropout : float, default=0.3
        Probability that the strong view replaces a feature by its mean.
    """

    def __init__(self, weak_noise: float = 0.1, strong_noise: float = 0.3, dropout: float = 0.3) -> None:
        self.weak_noise = weak_noise
        self.strong_noise = strong_noise
        self.dropout = dropout

    def fit(self, X: Any) -> VectorViews:
        """Compute the mean and the scale."""
        self.scaler_ = CommonScaler().fit(X)
        return self

    def load(self, X: Any, rng: np.random.Generator | None = None) -> Any:
        """Return ``X`` itself; each batch is scaled when it is used."""
        return X

    def plain(self, loaded: Any, rows: np.ndarray) -> torch.Tensor:
        """Return the scaled rows, float32 of shape (n, n_features)."""
        block = loaded[rows]
        return torch.from_numpy(self.scaler_.transform(block.toarray() if sp.issparse(block) else block))

    def weak(self, loaded: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the rows with a little noise."""
        return _noisy(self.plain(loaded, rows), self.weak_noise, generator)

    def strong(self, loaded: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the rows with more noise and some features at their mean."""
        noisy = _noisy(self.plain(loaded, rows), self.strong_noise, generator)
        return _dropped(noisy, self.dropout, generator)


class ImageViews(BaseEstimator):
    """Views of images: flips and shifts are weak; RandAugment's operations and a cut-out square are strong.

    Images are n × height × width, n × height × width × channels (1, 3 or 4) or n × channels × height × width.
    Values are scaled from their range to [0, 1], and standardized after the operations.

    Parameters
    ----------
    flip : bool, default=True
        Mirror half of the images. Set it to False if a mirror image can have another label.
    shift : float, default=0.125
        Largest shift of a weak view, as a share of the side.
    n_operations : int, default=2
        Number of operations that the strong view draws for each image, each with a random strength, from
        identity, rotation, two shears, two shifts, brightness, contrast, solarize and posterize.

    Notes
    -----
    These follow Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search
    Space", NeurIPS 2020, and FixMatch, with two differences: equalize, sharpness and color are omitted, and
    the geometric operations of an image are combined into one affine map.
    """

    def __init__(self, flip: bool = True, shift: float = 0.125, n_operations: int = 2) -> None:
        self.flip = flip
        self.shift = shift
        self.n_operations = n_operations

    def fit(self, X: Any) -> ImageViews:
        """Compute the range of the values, and the mean and deviation after scaling to [0, 1]."""
        self.low_, self.high_ = float(X.min()), float(X.max())
        spread = self.high_ - self.low_ or 1.0
        self.mean_ = (float(X.mean(dtype=np.float64)) - self.low_) / spread
        self.deviation_ = float(X.std(dtype=np.float64)) / spread or 1.0
        return self

    def load(self, X: Any, rng: np.random.Generator | None = None) -> Any:
        """Return ``X`` itself; each batch is scaled when it is used."""
        return X

    def plain(self, loaded: Any, rows: np.ndarray) -> torch.Tensor:
        """Return the images, float32 of shape (n, channels, height, width)."""
        return self._standardized(self._images(loaded, rows))

    def weak(self, loaded: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the images shifted by whole pixels, and half of them mirrored."""
        images = self._images(loaded, rows)
        n, _, height, width = images.shape
        affine = torch.eye(2, 3).repeat(n, 1, 1)
        if self.flip:
            affine[:, 0, 0] = 1.0 - 2.0 * torch.randint(0, 2, (n,), generator=generator)
        for axis, side in enumerate((width, height)):
            largest = round(self.shift * side)
            pixels = torch.randint(-largest, largest + 1, (n,), generator=generator)
            affine[:, axis, 2] = 2.0 * pixels / side  # affine_grid's coordinates span 2
        return self._standardized(_warped(images, affine))

    def strong(self, loaded: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the images after random operations, with a square of each set to the mean."""
        images = self._images(loaded, rows)
        shape = (self.n_operations, len(images))
        drawn = torch.randint(0, _N_OPERATIONS, shape, generator=generator)
        strength = 2.0 * torch.rand(shape, generator=generator) - 1.0
        images = _warped(images, self._geometric(drawn, strength, generator))
        for which, s in zip(drawn, strength, strict=True):
            images = self._photometric(images, which, s)
        return self._standardized(images) * self._holes(images, generator)

    def _images(self, loaded: Any, rows: np.ndarray) -> torch.Tensor:
        images = torch.from_numpy(np.asarray(loaded[rows], dtype=np.float32))
        if images.ndim == 3:
            images = images.unsqueeze(1)
        elif images.shape[-1] in (1, 3, 4):
            images = images.permute(0, 3, 1, 2)
        return (images - self.low_) / (self.high_ - self.low_ or 1.0)

    def _standardized(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean_) / self.deviation_

    def _geometric(
        self, drawn: torch.Tensor, strength: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Return one affine map per image: operations 1 to 5, and a reflection for half of the images."""

        def amount(operation: int, largest: float) -> torch.Tensor:
            return (strength * largest * (drawn == operation)).sum(dim=0)

        angle = amount(1, _ROTATION)
        affine = torch.zeros(drawn.shape[1], 2, 3)
        affine[:, 0, 0], affine[:, 1, 1] = torch.cos(angle), torch.cos(angle)
        affine[:, 0, 1] = amount(2, _SHEAR) - torch.sin(angle)
        affine[:, 1, 0] = amount(3, _SHEAR) + torch.sin(angle)
        affine[:, 0, 2], affine[:, 1, 2] = amount(4, 2 * _SHIFT), amount(5, 2 * _SHIFT)
        if self.flip:
            mirror = torch.randint(0, 2, (len(affine),), generator=generator).bool()
            affine[mirror, :, 0] *= -1.0
        return affine

    def _photometric(self, images: torch.Tensor, drawn: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """Apply operations 6 to 9 to the images that drew them, and keep values in [0, 1]."""

        def per_image(values: torch.Tensor) -> torch.Tensor:
            return values[:, None, None, None]

        gain = per_image(1.0 + 0.9 * strength)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        level = per_image(strength.abs())
        steps = 2.0 ** (8.0 - 4.0 * level).round() - 1.0  # down to four bits
        for operation, changed in (
            (6, images * gain),
            (7, mean + (images - mean) * gain),
            (8, torch.where(images > level, 1.0 - images, images)),
            (9, (images * steps).floor() / steps),
        ):
            images = torch.where(per_image(drawn == operation), changed.clamp(0.0, 1.0), images)
        return images

    @staticmethod
    def _holes(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a mask per image: 0 in a square of at most half the side, 1 elsewhere."""
        n, _, height, width = images.shape
        outside = []
        half = torch.rand(n, 1, generator=generator) * _CUTOUT / 2
        for side in (height, width):
            center = torch.rand(n, 1, generator=generator)
            outside.append(((torch.arange(side) + 0.5) / side - center).abs() > half)
        return (outside[0][:, None, :, None] | outside[1][:, None, None, :]).float()


class TextViews(BaseEstimator):
    """Views of texts through an encoder: dropped words and swapped neighboring words.

    Variants of every text are made and encoded once, before training: encoding in every step would take
    longer than all the rest.

    Parameters
    ----------
    encoder : None, str, path, estimator or callable, default=None
        Turns texts into vectors, as in :class:`~skprune.AnchorFilter`; None is TF-IDF with SVD.
    n_variants : int, default=3
        Number of strongly changed variants per text; there are half as many weakly changed ones, rounded up.
    weak_dropout, strong_dropout : float, default=0.1 and 0.4
        Probability that a word is dropped.
    swaps : float, default=0.2
        Probability that the strong view swaps a word with the next one.
    """

    def __init__(
        self,
        encoder: Any = None,
        *,
        n_variants: int = 3,
        weak_dropout: float = 0.1,
        strong_dropout: float = 0.4,
        swaps: float = 0.2,
    ) -> None:
        self.encoder = encoder
        self.n_variants = n_variants
        self.weak_dropout = weak_dropout
        self.strong_dropout = strong_dropout
        self.swaps = swaps

    def fit(self, X: Any) -> TextViews:
        """Fit the encoder if it is not fitted, and compute the scale of its vectors."""
        texts = check_texts(X)
        self.encode_ = fitted_on(make_encoder(self.encoder), texts, name="encoder")
        self.views_ = VectorViews().fit(np.asarray(self.encode_(texts)))
        return self

    def load(self, X: Any, rng: np.random.Generator | None = None) -> list[np.ndarray]:
        """Return a list of the vectors of the texts, of each weak variant and of each strong variant."""
        texts = check_texts(X).tolist()
        n_weak = 0 if rng is None else -(-self.n_variants // 2)
        n_strong = 0 if rng is None else self.n_variants
        weak = [[altered(text, self.weak_dropout, 0.0, rng) for text in texts] for _ in range(n_weak)]
        strong = [
            [altered(text, self.strong_dropout, self.swaps, rng) for text in texts] for _ in range(n_strong)
        ]
        return [np.asarray(self.encode_(variant)) for variant in [texts, *weak, *strong]]

    def plain(self, loaded: Any, rows: np.ndarray) -> torch.Tensor:
        """Return the scaled vectors of the texts, float32 of shape (n, n_dimensions)."""
        return self.views_.plain(loaded[0], rows)

    def weak(self, loaded: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the scaled vectors of texts with a few words dropped."""
        n_weak = -(-self.n_variants // 2)
        return self._one_of(loaded[1 : 1 + n_weak], rows, generator)

    def strong(self, loaded: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the scaled vectors of texts with many words dropped and others swapped."""
        return self._one_of(loaded[-self.n_variants :], rows, generator)

    def _one_of(
        self, variants: list[np.ndarray], rows: np.ndarray, generator: torch.Generator
    ) -> torch.Tensor:
        which = torch.randint(0, len(variants), (len(rows),), generator=generator).numpy()
        vectors = np.empty((len(rows), variants[0].shape[1]), dtype=np.float32)
        for i, variant in enumerate(variants):
            vectors[which == i] = variant[rows[which == i]]
        return self.views_.plain(vectors, np.arange(len(rows)))


def altered(text: str, dropout: float, swaps: float, rng: Any) -> str:
    """Return the text with random words dropped, except at least one, and random neighbors swapped.

    Examples
    --------
    >>> altered("the old red fox runs", 0.4, 0.2, np.random.default_rng(3))
    'red fox'
    """
    words = text.split()
    kept = rng.random(len(words)) >= dropout
    if len(words) and not kept.any():
        kept[rng.integers(len(words))] = True
    words = [word for word, keep in zip(words, kept, strict=True) if keep]
    for i in np.flatnonzero(rng.random(max(len(words) - 1, 0)) < swaps):
        words[i], words[i + 1] = words[i + 1], words[i]
    return " ".join(words)


def views_for(X: Any, views: Any) -> Any:
    """Return an unfitted copy of ``views``, or for ``"auto"`` new views for the kind of rows in ``X``."""
    if views != "auto":
        return clone(views)
    return ImageViews() if getattr(X, "ndim", 2) > 2 else VectorViews()


def _noisy(rows: torch.Tensor, level: float, generator: torch.Generator) -> torch.Tensor:
    return rows + level * torch.randn(rows.shape, generator=generator)


def _dropped(rows: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    return rows * (torch.rand(rows.shape, generator=generator) >= share)


def _warped(images: torch.Tensor, affine: torch.Tensor) -> torch.Tensor:
    """Apply one affine map to each image; pixels outside the image repeat its border."""
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
