"""Tools for those who write filters of their own."""
