"""SemiPrune: the filter, its classifiers and views, the training dynamics and the coresets.

Import from the modules or from :mod:`skprune`. This file imports nothing, because the classifiers and views
need torch and the filter with scikit-learn's estimators does not.
"""
