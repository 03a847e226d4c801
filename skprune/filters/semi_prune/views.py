"""Views of a row for consistency training: as it is, weakly changed, strongly changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone

from skprune.filters.semi_prune.scaling import CommonScaler
from skprune.fitting import fitted_on
from skprune.pools import check_texts

if TYPE_CHECKING:
    import torch

# The greatest change of each strong operation on images: radians, slopes, shares of the side.
_ROTATION, _SHEAR, _SHIFT, _CUTOUT = np.pi / 6, 0.3, 0.3, 0.5
_N_OPERATIONS = 10  # a row each: see ImageViews._photometric and ._geometric


class Views(Protocol):
    """What turns rows into tensors for a module.

    A store is what :meth:`load` returns: rows that views can be made of, in batches.
    """

    def fit(self, X: Any) -> Views:
        """Learn the scale of the rows."""

    def load(self, X: Any, rng: np.random.Generator | None = None) -> Any:
        """Return the store of ``X``; with ``rng`` one that weak and strong views can be made of."""

    def plain(self, store: Any, rows: np.ndarray) -> torch.Tensor:
        """Return the rows as they are, float32."""

    def weak(self, store: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the rows after a change that no label depends on."""

    def strong(self, store: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the rows after a change that makes them hard to recognize."""


class VectorViews(BaseEstimator):
    """Views of numeric rows: noise, and features that are left out.

    Features are centered, and all divided by one number (:class:`CommonScaler`).

    Parameters
    ----------
    weak_noise, strong_noise : float, default=0.1 and 0.3
        Standard deviation of Gaussian noise, in root-mean-square deviations of the features.
    dropout : float, default=0.3
        Share of the features that the strong view replaces by their mean.
    """

    def __init__(self, weak_noise: float = 0.1, strong_noise: float = 0.3, dropout: float = 0.3) -> None:
        self.weak_noise = weak_noise
        self.strong_noise = strong_noise
        self.dropout = dropout

    def fit(self, X: Any) -> VectorViews:
        """Learn mean and scale."""
        self.scaler_ = CommonScaler().fit(X)
        return self

    def load(self, X: Any, rng: np.random.Generator | None = None) -> Any:
        """Return ``X`` itself: it is scaled a batch at a time."""
        return X

    def plain(self, store: Any, rows: np.ndarray) -> torch.Tensor:
        """Return the scaled rows, float32 of shape (n, n_features)."""
        import torch

        block = store[rows]
        return torch.from_numpy(self.scaler_.transform(block.toarray() if sp.issparse(block) else block))

    def weak(self, store: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the rows with a little noise."""
        return _noisy(self.plain(store, rows), self.weak_noise, generator)

    def strong(self, store: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the rows with more noise, and some features at their mean."""
        noisy = _noisy(self.plain(store, rows), self.strong_noise, generator)
        return _dropped(noisy, self.dropout, generator)


class ImageViews(BaseEstimator):
    """Views of images: flips and shifts, and operations of RandAugment with a hole cut out.

    Rows are n × height × width, n × height × width × channels (1, 3 or 4) or n × channels × height × width.
    Values are scaled to the range that they have, and standardized at last.

    Parameters
    ----------
    flip : bool, default=True
        Whether the mirror image of a row has the same label.
    shift : float, default=0.125
        Greatest shift of a weak view, a share of the side.
    n_operations : int, default=2
        Operations of the strong view: of none, rotation, two shears, two shifts, brightness, contrast,
        solarise and posterise, so many are drawn for each image, with a strength drawn for each.

    Notes
    -----
    After Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space",
    NeurIPS 2020, and FixMatch; equalise, sharpness and color are left out (ours), and the geometric ones of
    an image are one affine map.
    """

    def __init__(self, flip: bool = True, shift: float = 0.125, n_operations: int = 2) -> None:
        self.flip = flip
        self.shift = shift
        self.n_operations = n_operations

    def fit(self, X: Any) -> ImageViews:
        """Learn the range, and mean and deviation within it."""
        self.low_, self.high_ = float(X.min()), float(X.max())
        spread = self.high_ - self.low_ or 1.0
        self.mean_ = (float(X.mean(dtype=np.float64)) - self.low_) / spread
        self.deviation_ = float(X.std(dtype=np.float64)) / spread or 1.0
        return self

    def load(self, X: Any, rng: np.random.Generator | None = None) -> Any:
        """Return ``X`` itself: it is scaled a batch at a time."""
        return X

    def plain(self, store: Any, rows: np.ndarray) -> torch.Tensor:
        """Return the images, float32 of shape (n, channels, height, width)."""
        return self._standardized(self._images(store, rows))

    def weak(self, store: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the images shifted by whole pixels, half of them mirrored."""
        import torch

        images = self._images(store, rows)
        n, _, height, width = images.shape
        affine = torch.eye(2, 3).repeat(n, 1, 1)
        if self.flip:
            affine[:, 0, 0] = 1.0 - 2.0 * torch.randint(0, 2, (n,), generator=generator)
        for axis, side in enumerate((width, height)):
            most = round(self.shift * side)
            pixels = torch.randint(-most, most + 1, (n,), generator=generator)
            affine[:, axis, 2] = 2.0 * pixels / side  # affine_grid's coordinates span 2
        return self._standardized(_warped(images, affine))

    def strong(self, store: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return the images after drawn operations, with a square at the mean cut out of each."""
        import torch

        images = self._images(store, rows)
        shape = (self.n_operations, len(images))
        drawn = torch.randint(0, _N_OPERATIONS, shape, generator=generator)
        strength = 2.0 * torch.rand(shape, generator=generator) - 1.0
        images = _warped(images, self._geometric(drawn, strength, generator))
        for which, s in zip(drawn, strength, strict=True):
            images = self._photometric(images, which, s)
        return self._standardized(images) * self._holes(images, generator)

    def _images(self, store: Any, rows: np.ndarray) -> torch.Tensor:
        import torch

        images = torch.from_numpy(np.asarray(store[rows], dtype=np.float32))
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
        """Return an affine map an image: operations 1 to 5, and half of the images mirrored."""
        import torch

        def amount(operation: int, most: float) -> torch.Tensor:
            return (strength * most * (drawn == operation)).sum(dim=0)

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
        """Apply operations 6 to 9 to the images that drew them; values stay in [0, 1]."""
        import torch

        def column(values: torch.Tensor) -> torch.Tensor:
            return values[:, None, None, None]

        gain = column(1.0 + 0.9 * strength)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        level = column(strength.abs())
        steps = 2.0 ** (8.0 - 4.0 * level).round() - 1.0  # down to four bits
        for operation, changed in (
            (6, images * gain),
            (7, mean + (images - mean) * gain),
            (8, torch.where(images > level, 1.0 - images, images)),
            (9, (images * steps).floor() / steps),
        ):
            images = torch.where(column(drawn == operation), changed.clamp(0.0, 1.0), images)
        return images

    @staticmethod
    def _holes(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return 0 in a square of at most half the side of each image, 1 elsewhere."""
        import torch

        n, _, height, width = images.shape
        outside = []
        half = torch.rand(n, 1, generator=generator) * _CUTOUT / 2
        for side in (height, width):
            center = torch.rand(n, 1, generator=generator)
            outside.append(((torch.arange(side) + 0.5) / side - center).abs() > half)
        return (outside[0][:, None, :, None] | outside[1][:, None, None, :]).float()


class TextViews(BaseEstimator):
    """Views of texts through an encoder: words that are left out, and neighbors that change places.

    Variants of every text are encoded once, before training: encoding anew in every step would cost more
    than all the rest.

    Parameters
    ----------
    encoder : None, str, path, estimator or callable, default=None
        Texts to vectors, as in :class:`~skprune.AnchorFilter`: None is TF-IDF with SVD.
    n_variants : int, default=3
        Strongly changed texts for each; half as many (rounded up) weakly changed ones.
    weak_dropout, strong_dropout : float, default=0.1 and 0.4
        Probability that a word is left out.
    swaps : float, default=0.2
        Share of the words that the strong view lets change places with the next one.
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
        """Fit the encoder, where it has to be, and learn the scale of its vectors."""
        from skprune.encoders import make_encoder  # which imports this package: no circle at import

        texts = check_texts(X)
        self.encode_ = fitted_on(make_encoder(self.encoder), texts, name="encoder")
        self.views_ = VectorViews().fit(np.asarray(self.encode_(texts)))
        return self

    def load(self, X: Any, rng: np.random.Generator | None = None) -> list[np.ndarray]:
        """Return the vectors of the texts, of their weak and of their strong variants."""
        texts = check_texts(X).tolist()
        n_weak = 0 if rng is None else -(-self.n_variants // 2)
        n_strong = 0 if rng is None else self.n_variants
        weak = [[altered(text, self.weak_dropout, 0.0, rng) for text in texts] for _ in range(n_weak)]
        strong = [
            [altered(text, self.strong_dropout, self.swaps, rng) for text in texts] for _ in range(n_strong)
        ]
        return [np.asarray(self.encode_(variant)) for variant in [texts, *weak, *strong]]

    def plain(self, store: Any, rows: np.ndarray) -> torch.Tensor:
        """Return the scaled vectors of the texts, float32 of shape (n, n_dimensions)."""
        return self.views_.plain(store[0], rows)

    def weak(self, store: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return vectors of texts with a few words left out."""
        n_weak = -(-self.n_variants // 2)
        return self._one_of(store[1 : 1 + n_weak], rows, generator)

    def strong(self, store: Any, rows: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        """Return vectors of texts with many words left out and others swapped."""
        return self._one_of(store[-self.n_variants :], rows, generator)

    def _one_of(
        self, variants: list[np.ndarray], rows: np.ndarray, generator: torch.Generator
    ) -> torch.Tensor:
        import torch

        which = torch.randint(0, len(variants), (len(rows),), generator=generator).numpy()
        vectors = np.empty((len(rows), variants[0].shape[1]), dtype=np.float32)
        for i, variant in enumerate(variants):
            vectors[which == i] = variant[rows[which == i]]
        return self.views_.plain(vectors, np.arange(len(rows)))


def altered(text: str, dropout: float, swaps: float, rng: Any) -> str:
    """Return the text with words left out by chance, at least one kept, and neighbors swapped.

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


def views_of(X: Any, views: Any) -> Any:
    """Return a fresh copy of ``views``, or for ``"auto"`` the ones that suit the rows of ``X``."""
    if views != "auto":
        return clone(views)
    return ImageViews() if getattr(X, "ndim", 2) > 2 else VectorViews()


def _noisy(rows: torch.Tensor, level: float, generator: torch.Generator) -> torch.Tensor:
    import torch

    return rows + level * torch.randn(rows.shape, generator=generator)


def _dropped(rows: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    import torch

    return rows * (torch.rand(rows.shape, generator=generator) >= share)


def _warped(images: torch.Tensor, affine: torch.Tensor) -> torch.Tensor:
    """Return the images under one affine map each; what comes from outside repeats the border."""
    from torch.nn import functional

    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
