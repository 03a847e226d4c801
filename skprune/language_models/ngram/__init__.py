"""N-gram models: normalization, tokens, Kneser-Ney training, KenLM files."""
