"""The subcommands of `edgecap`, one module each."""
