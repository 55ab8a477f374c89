"""The OpenAI-compatible API: other shapes of the same questions and answers."""
