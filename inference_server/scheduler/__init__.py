"""Admission, the queue, what runs next, and the one worker thread."""
