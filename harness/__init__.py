"""The harness: fixtures, checks, models, baselines and the gate, in packages with a charter each."""

# From a clone's root `import harness` would load a second copy of every class, whose errors and records are not ours.
if __name__ != "tunegate.harness":
    raise ImportError(f"expected `import tunegate.harness`, found `import {__name__}`: write the whole name")
