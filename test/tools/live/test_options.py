from __future__ import annotations

import argparse

from space_clip_ros.tools.live.options import ViewOptions


def test_the_demos_own_option_is_not_in_the_help() -> None:
    parser = argparse.ArgumentParser()
    ViewOptions.add_to(parser)
    assert "--port" in parser.format_help()
    assert "socket" not in parser.format_help()
    assert ViewOptions.parsed(parser.parse_args(ViewOptions(socket=7).arguments())) == ViewOptions(socket=7)
