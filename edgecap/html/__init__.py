"""Pages in one file: no network, no script from elsewhere, readable without any script."""
