import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from setuptools import Distribution

from pipeline.reporting.page import PARTS, embedded_json, render

ROOT = Path(__file__).parent.parent.parent.parent


@given(
    st.recursive(
        st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_comes_back_and_holds_no_markup(value):
    text = embedded_json(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded_json({"rate": float("nan")})


def test_the_title_is_text():
    page = render([{"name": "<script>alert(1)</script>"}], [], {})
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; · Keraldi report" in page


def test_the_page_forbids_itself_the_network():
    page = render([{"name": "x"}], [], {})
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=[\"']?https?:", page)


def test_an_installed_keraldi_has_the_parts_of_the_page(monkeypatch):
    monkeypatch.chdir(ROOT)
    distribution = Distribution()
    distribution.parse_config_files(["setup.cfg"])
    builder = distribution.get_command_obj("build_py")
    builder.ensure_finalized()
    taken = {
        name
        for package, _, _, names in builder.data_files
        if package == "pipeline.reporting"
        for name in names
    }
    assert taken == {f"page/{path.name}" for path in PARTS.iterdir()}
