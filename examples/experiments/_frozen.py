"""A transformer whose frozen layers compute each text once, however often the others are trained."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, ClassVar

import torch
from torch import nn

from skprune import TransformerClassifier
from skprune.models.nets import PretrainedEncoder, TrainableNet


class FrozenOnceClassifier(TransformerClassifier):
    """`TransformerClassifier` for BERT-like models; the output of its frozen layers is kept per text.

    The frozen layers have the same weights in every fit, so their output for a text never changes. The models
    equal those of `TransformerClassifier` up to rounding, because kept outputs come from other batches.
    """

    lower: ClassVar[dict[tuple[Any, int], FrozenLayers]] = {}  # shared by all clones

    def _train(self, pretrained: PretrainedEncoder, *args: Any) -> TrainableNet:
        key = (self.model, self.frozen_layers)
        if key not in self.lower:
            self.lower[key] = FrozenLayers(pretrained.model.base_model, self.frozen_layers)
        model = copy.deepcopy(pretrained.model)
        base = model.base_model
        base.embeddings = self.lower[key]
        base.encoder.layer = base.encoder.layer[self.frozen_layers :]
        wanted, self.frozen_layers = self.frozen_layers, 0
        try:
            return super()._train(dataclasses.replace(pretrained, model=model), *args)
        finally:
            self.frozen_layers = wanted


class FrozenLayers(nn.Module):
    """Embeddings and lowest layers of a BERT-like encoder, in the place of its embeddings.

    Parameters
    ----------
    encoder : transformers.BertModel
        Copied.
    n_layers : int
        Number of layers that belong to this part.
    """

    def __init__(self, encoder: nn.Module, n_layers: int) -> None:
        super().__init__()
        part = copy.deepcopy(encoder).requires_grad_(False).eval()
        part.encoder.layer = part.encoder.layer[:n_layers]
        self._part = [part]  # in a list: no submodule, so that nothing trains, copies or saves it
        self._rows: list[dict[bytes, torch.Tensor]] = [{}]

    def __deepcopy__(self, memo: Any) -> FrozenLayers:
        return self

    def forward(self, input_ids: torch.Tensor, **ignored: Any) -> torch.Tensor:
        """Return the hidden states of a padded batch; what lies under the padding is zero."""
        pad = self._part[0].config.pad_token_id
        lengths = (input_ids != pad).sum(1).tolist()
        ids = [row[:length] for row, length in zip(input_ids, lengths, strict=True)]
        keys = [row.numpy().tobytes() for row in ids]
        known = self._rows[0]
        missing = [i for i, key in enumerate(keys) if key not in known]
        if missing:
            with torch.no_grad():
                rows = input_ids[missing]
                output = self._part[0](input_ids=rows, attention_mask=(rows != pad).long()).last_hidden_state
            for i, states in zip(missing, output, strict=True):
                known[keys[i]] = states[: lengths[i]].to(torch.bfloat16).clone()
        return nn.utils.rnn.pad_sequence([known[key] for key in keys], batch_first=True).float()
