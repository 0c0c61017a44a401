"""Measurements that anyone can repeat: `python -m benchmarks.solve` and `python -m benchmarks.robustness`."""
