"""Two contexts on the CPU need more than MXNet's defaults; see `mxnetseg.engine.devices`."""

from mxnetseg.engine.threads import several_cpu_contexts

# Before the first operation of the process: MXNet reads it once.
several_cpu_contexts(2)
