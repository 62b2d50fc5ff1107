"""A linear head on DINOv2 of transformers: the authors' evaluation on one map."""

from __future__ import annotations

from mxnetseg.backbones.naming import under
from mxnetseg.backbones.token_names import TOKENS
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.vit import transformer, with_grid

POSITIONS = "backbone.embeddings.position_embeddings"

reference(
    "hf_dinov2-small_linear",
    model="linear",
    form="hf",
    rules=[*under("backbone.", TOKENS), (r"^head\.conv_seg\.", "head.classifier.")],
    unused=(r"^backbone\.embeddings\.mask_token$",),
    prepare=transformer("backbone.", 12, positions=POSITIONS),
    adapt=with_grid(True, POSITIONS),
)
