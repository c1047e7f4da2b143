"""Reports: what a recording shows, as one page that needs no network, and as a film."""
