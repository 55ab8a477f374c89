"""The documentation site: docs/ and pages generated from the contract, put together by MkDocs (`make site`)."""
