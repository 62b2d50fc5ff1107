"""`python -m tests.goldens.write_layouts FOLDER...`: the names in reference data, for `weights.layouts`.

Layouts of references that no folder has stay as they are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mxnetseg.weights import references
from mxnetseg.weights.layouts import Layout, known, layout, write


def read(folders):
    """{reference id: Layout} of the known references that the folders have."""
    found = {}
    for folder in map(Path, folders):
        for name in references():
            file = folder / f"{name}.json"
            if file.exists():
                meta = json.loads(file.read_text())
                aliases = meta.get("aliases") or dict(meta.get("aliased_tensors") or ())
                found[name] = Layout(
                    {tensor: tuple(shape) for tensor, shape in meta["tensors"]}, dict(aliases), meta["nclass"]
                )
    return found


if __name__ == "__main__":
    found = read(sys.argv[1:])
    kept = {name: layout(name) for name in set(known()) & set(references()) - set(found)}
    write({**found, **kept})
    missing = sorted(set(references()) - set(found) - set(kept))
    print(
        f"{len(found)} layouts written, {len(kept)} kept"
        + (f"; none of {', '.join(missing)}" if missing else "")
    )
