"""Admission, queue, batches and the one worker thread."""
