"""Causal language models behind an OpenAI-compatible server, such as vLLM's or llama.cpp's."""
