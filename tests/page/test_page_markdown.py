"""Markdown on the web page, in the real browser: what it shows, and that no text becomes anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from page_stage import Stage, Theatre

from doubles.messages_server import text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

RENDERED = [
    ("plain", "<p>plain</p>"),
    ("a\nb", "<p>a<br>b</p>"),
    ("# One\n## Two ##\n### Three\n###### Six", "<h3>One</h3><h3>Two</h3><h4>Three</h4><h6>Six</h6>"),
    ("# a#\n# b # #\n# ##\n#\n#c\n# x\u2028y", "<h3>a#</h3><h3>b #</h3><h3></h3><h3></h3><p>#c</p><h3>x\u2028y</h3>"),
    (
        "**b** *i* ***both*** ~~s~~ `c`",
        "<p><strong>b</strong> <em>i</em> <em><strong>both</strong></em> <del>s</del> <code>c</code></p>",
    ),
    ("__b__ _i_ snake_case_word 2 * 3 * 4", "<p><strong>b</strong> <em>i</em> snake_case_word 2 * 3 * 4</p>"),
    (r"\*not\* \`this\`", "<p>*not* `this`</p>"),
    ("``a ` b``", "<p><code>a ` b</code></p>"),
    ("```a`b``` `", "<p><code>a`b</code> `</p>"),
    ("~~~ `\n- x\u2028y", "<p>~~~ `</p><ul><li>x\u2028y</li></ul>"),
    ("- a\n- b\n  - c\n    - d\n- e", "<ul><li>a</li><li>b<ul><li>c<ul><li>d</li></ul></li></ul></li><li>e</li></ul>"),
    ("3. a\n4. b\n   * c", '<ol start="3"><li>a</li><li>b<ul><li>c</li></ul></li></ol>'),
    ("- a\n\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
    ("- [ ] open\n- [x] done", "<ul><li>☐ open</li><li>☑ done</li></ul>"),
    ("> a\n> > b", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote>"),
    ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    ("<b>&amp;</b>", "<p>&lt;b&gt;&amp;amp;&lt;/b&gt;</p>"),
    ("**open", "<p>**open</p>"),
    ("a * b ** c", "<p>a * b ** c</p>"),
]
LINKS = [
    ('[t](https://example.org/a_(b) "x")', "https://example.org/a_(b)", "t"),
    ("<https://example.org>", "https://example.org/", "https://example.org"),
    ("see https://example.org/x.", "https://example.org/x", "https://example.org/x"),
    ("[m](mailto:ana@example.org)", "mailto:ana@example.org", "m"),
    ("![pic](https://example.org/p.png)", "https://example.org/p.png", "pic"),
    ("[https://bank.example/](https://evil.example/)", "https://evil.example/", "https://bank.example/"),
    ("[<https://bank.example/>](https://evil.example/)", "https://evil.example/", "<https://bank.example/>"),
    ("[[a](https://one.example/)](https://two.example/)", "https://two.example/", "[a](https://one.example/)"),
    ("(see https://example.org/a_(b))!", "https://example.org/a_(b)", "https://example.org/a_(b)"),
]
HOSTILE = [
    "<script>window.hurt = 1</script>",
    "<img src=x onerror='window.hurt = 1'>",
    "[x](javascript:window.hurt=1)",
    "[x](JaVaScRiPt&#58;window.hurt=1)",
    "[x](\x01javascript:window.hurt=1)",
    "[x](java\tscript:window.hurt=1)",
    "[x](data:text/html,<script>parent.hurt=1</script>)",
    "[x](vbscript:hurt)",
    "<javascript:window.hurt=1>",
    "![x](javascript:window.hurt=1)",
    '[x](https://example.org/"onmouseover="window.hurt=1)',
    "[<img src=x onerror=window.hurt=1>](https://example.org)",
    "```<script>window.hurt = 1</script>\n<svg onload=window.hurt=1>\n```",
    "| <svg onload=window.hurt=1> | b |\n|---|---|\n| <iframe src=javascript:hurt> | c |",
    "<style>body{display:none}</style><base href=https://example.org><form action=https://example.org><input>",
    "&lt;script&gt;window.hurt=1&lt;/script&gt;",
]

CHECKS = Path(__file__).with_name("markdown_checks.js").read_text("utf-8")


async def check(stage: Stage, call: str) -> Any:
    """One of the checks in markdown_checks.js, in the page."""
    return await stage.page.evaluate(f"{CHECKS.strip()}.{call}")


async def rendered(stage: Stage, source: str) -> Any:
    return await stage.page.evaluate(
        """async (source) => { const { markdown } = await import("/page/markdown.js");
           const place = document.createElement("div");
           place.append(...markdown(source));
           const links = [...place.querySelectorAll("a")].map((a) => [a.href, a.textContent]);
           return { html: place.innerHTML, links } }""",
        source,
    )


def test_markdown_is_shown_as_people_expect(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.enter()
        for source, html in RENDERED:
            assert (await rendered(stage, source))["html"] == html, source
        for source, address, words in LINKS:
            assert (await rendered(stage, source))["links"] == [[address, words]], source
        code = await rendered(stage, "```py\na  <b>\n\n  c\n```\nafter")
        assert "<code>a  &lt;b&gt;\n\n  c</code>" in code["html"] and "<span>py</span>" in code["html"]
        table = await rendered(stage, "| a | b |\n|:--|--:|\n| `x|y` | **2** |\n| 3 |")
        assert '<th class="right">b</th>' in table["html"] and "<code>x|y</code>" in table["html"]
        assert table["html"].count("<td") == 4
        short = await rendered(stage, "|a|b|c|\n|-|-|-|\n|1|")
        assert '<tr><td>1</td><td colspan="2"></td></tr>' in short["html"]

    theatre.play(tmp_path, scene)


def test_hostile_text_stays_text_in_the_conversation(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(text("\n\n".join(HOSTILE)))
        await stage.enter()
        exchange = await stage.say("<img src=x onerror='window.hurt = 1'>")
        shown = await stage.answered(exchange)
        assert "<script>window.hurt = 1</script>" in shown
        for link in await exchange.locator("a").all():
            assert str(await link.get_attribute("href")).startswith("https://example.org/")
        elements = [
            "p",
            "br",
            "a",
            "div",
            "span",
            "button",
            "svg",
            "path",
            "pre",
            "code",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        ]
        assert await check(stage, f"fault({elements}, document.querySelector('.prose'))") == ""
        assert await stage.page.evaluate("window.hurt") is None
        await stage.page.reload()
        await stage.page.locator(".prose").wait_for()
        assert await stage.page.evaluate("window.hurt") is None

    theatre.play(tmp_path, scene)


@pytest.mark.parametrize("seed", [1, 7919, 104729])
def test_no_text_makes_an_element_outside_the_list_and_pieces_give_the_same_as_the_whole(
    theatre: Theatre, tmp_path: Path, seed: int
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.enter()
        assert await check(stage, f"fuzz({seed}, 4000)") is None

    theatre.play(tmp_path, scene)


def test_text_made_to_take_long_is_rendered_too(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.enter()
        assert await check(stage, "deep()")

    theatre.play(tmp_path, scene)


def test_eight_times_as_much_text_takes_about_eight_times_as_long_whatever_it_is(
    theatre: Theatre, tmp_path: Path
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.enter()
        assert await check(stage, "slow()") == []

    theatre.play(tmp_path, scene)
