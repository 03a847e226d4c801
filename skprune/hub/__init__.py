"""Models by name or folder: where they are, what identifies their content, which device runs them."""
