"""Language models, apart from the scorers that ask them."""
