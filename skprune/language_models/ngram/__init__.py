"""N-gram models: text normalization, tokenizers, Kneser-Ney training and KenLM files."""
