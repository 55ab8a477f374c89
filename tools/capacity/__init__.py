"""Capacity plans, by simulation of the gateway and its replicas: `make plan`."""
