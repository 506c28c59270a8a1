"""Texts that would run, load or break out, were a page or a comment made from them without care."""

from __future__ import annotations

HOSTILE = (
    "</script><script>window.ran = 1</script>",
    "<!--<script>",
    "<img src=x onerror=\"window.ran = 1\">",
    "<svg/onload=window.ran=1>",
    "\"><iframe srcdoc='<script>parent.ran = 1</script>'>",
    "' autofocus onfocus='window.ran = 1",
    "</pre></textarea></style><style>body { display: none }</style>",
    "<base href=https://example.org/><link rel=stylesheet href=//example.org/x.css>",
    "<meta http-equiv=refresh content=0;url=https://example.org/>",
    "[link](javascript:window.ran=1) ![picture](https://example.org/p.png)",
    "{{ 7 * 7 }} {% raw %} ${window.ran = 1} `${window.ran = 1}`",
    "\u2028window.ran = 1\u2029 \u202egnp.exe\u202c \x00 \x1b[2J \ufeff",
    "@everyone #1 https://example.org/ www.example.org GH-1 a@example.org $x$ ~~gone~~",
    "| a | cell |\n|---|---|\n# a heading\n- a list\n> a quote\n```\nfence\n````\n</details>",
    "&lt;script&gt; &amp; &#60;b&#62;",
    "\u2066left\u2069 \u2067right\u2069 \u200bunseen\u200b \x9b2J \x1b]8;;https://example.org/\x07a link\x1b]8;;\x07",
    "--> <script>window.ran = 1</script> <!-- tunegate:e30= -->",
    "data:text/html,<script>window.ran=1</script> vbscript:x <https://example.org/> [x]: javascript:window.ran=1",
    "@org/team closes org/repo#3 :tada: GHSA-xxxx-xxxx-xxxx [^1] > [!CAUTION] - [x] done $$x$$ `code` \\",
    f"a line without an end {'x' * 5_000}",
    "日本語の識別子 \U0001f600 e\u0301 ﷽",
    "__proto__", "constructor", "%3Cscript%3E",
    "::error file=x::no ##[group]none",
)  # fmt: skip
