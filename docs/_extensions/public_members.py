"""Leave out of the reference what skprune's classes only inherit from scikit-learn and other libraries."""


def skip(app, what, name, member, skip_it, options):
    function = member.fget if isinstance(member, property) else member
    module = getattr(function, "__module__", None) or ""
    foreign = callable(function) and not module.startswith("skprune")
    return True if foreign else None


def setup(app):
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True}
