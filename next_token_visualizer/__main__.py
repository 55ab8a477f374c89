"""`python -m next_token_visualizer`: the command next-token-visualizer."""

from next_token_visualizer.cli.main import main

if __name__ == "__main__":
    main()
