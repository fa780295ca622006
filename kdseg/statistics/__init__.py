"""The figures of a comparison: gains, intervals, p-values, and when to stay silent."""
