"""Tools for writing your own filters."""
