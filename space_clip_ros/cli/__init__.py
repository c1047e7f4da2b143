"""The space_clip command, one short module a subcommand."""
