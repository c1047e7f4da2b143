"""Commands of ``space_clip``; each module here is one."""
