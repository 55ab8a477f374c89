"""What both services need and neither owns: reading settings, and logs joined by request id."""
