"""One page that says what a filter kept, and why."""
