"""What a chapter writes out, for the tests that hold it and the library equal."""

import ast

import build


def written(chapter, names, **namespace):
    """Define functions and classes of a chapter, from its source and nothing else."""
    (source,) = build.CHAPTERS.glob(f"{chapter}_*.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    kept = [node for node in tree.body if getattr(node, "name", None) in set(names)]
    assert sorted(node.name for node in kept) == sorted(names)
    exec(compile(ast.Module(kept, []), source.name, "exec"), namespace)
    return namespace
