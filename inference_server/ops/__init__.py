"""For operators: metrics, readiness, probes, the admin port."""
