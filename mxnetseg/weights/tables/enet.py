"""ENet as published by PyTorch-ENet."""

from __future__ import annotations

from typing import Match

from mxnetseg.weights.rename import reference

# Blocks are called by what they do and where they stand; the first two stages begin with a halving one.
_KIND = r"(?:downsample|regular|dilated|asymmetric)"


def _block(match: Match) -> str:
    stage, index = int(match.group(1)), int(match.group(2))
    if stage < 4:
        return f"backbone.stages.{stage - 1}.{index}."
    return f"head.blocks.{stage - 4}.{index - 1}."


reference(
    "enet_pytorch",
    model="enet",
    form="pytorch",
    rules=[
        (r"^initial_block\.main_branch\.", "backbone.conv."),
        (r"^initial_block\.batch_norm\.", "backbone.norm."),
        (r"^initial_block\.out_activation\.", "backbone.act."),
        (rf"^{_KIND}(\d)_(\d)\.", _block),
        (r"^upsample4_0\.", "head.doublings.0."),
        (r"^upsample5_0\.", "head.doublings.1."),
        (r"^(head\.doublings\.\d)\.main_conv1\.", r"\1.main."),
        (r"^(head\.doublings\.\d)\.ext_conv1\.", r"\1.before."),
        (r"^(head\.doublings\.\d)\.ext_tconv1\.", r"\1.up."),
        (r"^(head\.doublings\.\d)\.ext_tconv1_bnorm\.", r"\1.norm."),
        (r"^(head\.doublings\.\d)\.ext_conv2\.", r"\1.after."),
        (r"\.ext_conv([123])\.", lambda m: f".units.{int(m.group(1)) - 1}."),
        (r"\.out_activation\.", ".act."),
        # Slopes of the encoder's activations; between column and row stands one too.
        (r"(\.act|\.units\.\d\.[25])\.weight$", r"\1.alpha"),
        (r"^transposed_conv\.", "head.classifier."),
    ],
)
