"""A report as one HTML file."""

from __future__ import annotations

from jaxiso.report.page import as_page
from jaxiso.report.table import code, markdown_table, plain

ODD = "<script>alert(1)</script> & [x](http://a.b) ![y](http://c.d) `|` <http://e.f>"


def test_what_is_no_markup_of_ours_is_shown_as_it_is():
    text = "\n".join([f"- {plain(ODD)}", "", *markdown_table(["", "a"], [[plain(ODD), code(ODD)]])])
    page = as_page("<b>", f"{text}\n\n    {ODD}\n\n<script>x</script>\n", {})
    assert "<title>&lt;b&gt;</title>" in page
    body = page.partition("<body>")[2]
    assert body.count("&lt;script&gt;") == 5
    for mark in ("<script", "<a ", "<img", "href=", "src="):
        assert mark not in body, mark


def test_pictures_are_inside():
    page = as_page(
        "t", "![a b](figures/x.png)\n\n![gone](figures/y.png)\n", {"figures/x.png": b"x"}
    )
    assert '<img src="data:image/png;base64,eA==" alt="a b">' in page
