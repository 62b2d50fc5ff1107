"""What this machine has, what is missing, why, and what to do: `python -m mxnetseg.doctor`.

Each device is tried out with a small network in a process of its own, so that a library that crashes is
reported like everything else. Works in any Python, also where MXNet or NumPy are missing: that is when it is
needed.
"""
