"""The JSON API: parse, call, render."""
