"""The order of the examples in the gallery: pictures first, then training sets, then loops."""

from sphinx_gallery.sorting import ExplicitOrder

by_topic = ExplicitOrder(
    [
        "what_filters_keep.py",
        "score_histogram.py",
        "learning_curves.py",
        "sklearn_pipeline.py",
        "imblearn_pipeline.py",
        "modal_loop.py",
        "*",
        "tune_without_labels.py",
        "skorch_transformer.py",
    ]
)
