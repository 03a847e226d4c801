"""What pruning needs when the texts do not fit into memory, wherever they are."""
