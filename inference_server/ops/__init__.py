"""What operators look at: metrics, probes, readiness."""
