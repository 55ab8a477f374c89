"""Masks: which tokens a text of a given form may go on with, found by llguidance."""
