"""Language models: loading, training and running them. The scorers build on them."""
