"""How Sphinx builds the site: `make docs`. The pages also read well as plain Markdown in the repository."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
sys.path.insert(0, str(Path(__file__).parents[1]))

import skprune

project = "skprune"
copyright = "2026, the skprune developers"
version = release = skprune.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    # docs/_extensions
    "mathml",
    "public_members",
    "repository_links",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # the anchors that GitHub gives the headings
html_math_renderer = "mathml"
highlight_language = "none"  # of blocks that name no language

toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # numpydoc's sections state the types
autosummary_generate = True
numpydoc_show_class_members = False  # the templates list the members
numpydoc_class_members_toctree = False

nitpicky = True
# The build needs no network, and so has no inventory of these libraries.
nitpick_ignore_regex = [(r"py:\w+", r"(numpy|sklearn)\..+")]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    # The two that are left out fetch the weights of a transformer, and train it.
    "filename_pattern": r"/(?!skorch_transformer|tune_without_labels)\w+\.py$",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skprune",),
    "prefer_full_module": {r"skprune\..+"},
    "default_thumb_file": str(Path(__file__).parent / "images" / "script.svg"),
    "download_all_examples": False,
    "copyfile_regex": "",
    "min_reported_time": 5,
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,  # that page loads scripts from the network
    "within_subsection_order": "gallery_order.by_topic",
}

html_theme = "pydata_sphinx_theme"
html_title = "skprune"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_sidebars = {"index": [], "start": []}
