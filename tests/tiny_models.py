"""Folders with tiny random models, built without a download."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

END = "<|endoftext|>"


def save_tiny_gpt2(folder: Path, *, words: tuple[str, ...] = (), **config: object) -> Path:
    """Save a GPT-2 of two layers. Like the real one, its tokenizer has no padding token.

    Its tokens are bytes, and ``words``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = _byte_tokenizer([END])
        tokenizer.add_tokens(list(words))
        size = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128, "initializer_range": 0.2}
        model = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=tokenizer.get_vocab_size(), bos_token_id=0, eos_token_id=0, **{**size, **config}
            )
        )
    model.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END
    ).save_pretrained(folder)
    return folder


def save_tiny_bert(folder: Path) -> Path:
    """Save a BERT of two layers, whose tokenizer pads with its first token."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = _byte_tokenizer(["[PAD]"])
        model = transformers.BertModel(
            transformers.BertConfig(
                vocab_size=tokenizer.get_vocab_size(),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                initializer_range=0.2,
            )
        )
    model.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(
        folder
    )
    return folder


def save_tiny_t5(folder: Path) -> Path:
    """Save a T5 of two layers, whose tokenizer ends each text with an end token."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = _byte_tokenizer(["<pad>", "</s>"])
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
        )
        model = transformers.T5ForConditionalGeneration(
            transformers.T5Config(
                vocab_size=tokenizer.get_vocab_size(),
                d_model=32,
                d_kv=16,
                d_ff=64,
                num_layers=2,
                num_heads=2,
                decoder_start_token_id=0,
            )
        )
    model.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>"
    ).save_pretrained(folder)
    return folder


def _byte_tokenizer(special: list[str]) -> Tokenizer:
    alphabet = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
