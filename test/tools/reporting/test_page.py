from __future__ import annotations

from space_clip_ros import __version__
from space_clip_ros.tools.reporting import page


def test_titles_and_texts_are_escaped() -> None:
    text = page.render("<drive>", "a & b", [page.section("x < y", page.table(("<h>",), (("<c>",),)))], None)
    assert "<title>&lt;drive&gt;</title>" in text
    assert "a &amp; b" in text
    assert "<h2>x &lt; y</h2>" in text
    assert "<th>&lt;h&gt;</th>" in text
    assert "<td>&lt;c&gt;</td>" in text
    assert f"space_clip {__version__}" in text


def test_the_viewer_comes_with_its_licence_and_only_with_clouds() -> None:
    plain, clouds = page.render("a", "b", [], None), page.render("a", "b", [], {"frames": [], "name": "</script>"})
    assert "THREE" not in plain
    assert "three.js authors" in clouds
    assert "The above copyright notice and this permission notice shall be included" in clouds
    assert clouds.count("</script>") == clouds.count("<script")


def test_the_page_forbids_itself_any_network() -> None:
    assert "default-src 'none'; img-src data:;" in page.render("a", "b", [], None)


def test_scale_labels_stay_on_the_scale() -> None:
    scale = page.scale("", [(0.0, "near"), (50.0, "middle"), (100.0, "far")], "Depth <m>")
    assert [scale.count(f"translateX(-{share}%)") for share in (0, 50, 100)] == [1, 1, 1]
    assert "<p>Depth &lt;m&gt;</p>" in scale and "<p>" not in page.scale("", [(0.0, "near")])
