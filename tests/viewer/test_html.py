"""`-o html`: one self-contained page, tried in a real headless browser."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser, browser
from sample_log import SampleLog, exception
from viewer_command import GOLDEN, mplog

from mplog.__main__ import main
from mplog.viewer.html import write_html
from mplog.viewer.reading import read_records

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
HOSTILE = (
    "<script>window.hacked=1</script></script><script>window.hacked=2</script><!--<script>"
    "<img src=x onerror='window.hacked=3'>\x1b[2J\x07\0\x9b31m\u202eevil\u2028\u2029\ufeff\"'&amp;"
    "${window.hacked=4}"
)


def render(log: SampleLog, path: Path, **options: Any) -> Path:
    """Write the log and its page; return the page."""
    source = log.write(path.with_suffix(".log"))
    with path.open("w", encoding="utf-8") as out:
        write_html(read_records([str(source)]), out, **options)
    return path


def data_of(page: str) -> Any:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert match is not None
    return json.loads(match[1])


def sample() -> SampleLog:
    log = SampleLog().add("start")
    for number in range(400):
        worker = 1 + number % 4
        level = "WARNING" if number % 20 == 3 else "DEBUG" if number % 7 == 0 else "INFO"
        name = f"ForkPoolWorker-{worker}"
        log.add(f"order {number} packed", pid=200 + worker, process=name, level=level, n=number)
    for number in range(6):
        cause = exception("KeyError", "'x'", line=9, text=False)
        exc = exception("ValueError", f"bad {number}", cause=cause)
        worker_1 = {"pid": 201, "process": "ForkPoolWorker-1", "level": "ERROR"}
        log.add(f"job {number} failed", logger="app.db", exc=exc, **worker_1)
    log.died(202, "ForkPoolWorker-2", records=100, last_msg="order 397 packed")
    return log.died(203, "ForkPoolWorker-3", records=100, signal=None, exitcode=0, event="ended")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of this file; each opens its own page."""
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def page(chromium: Browser, tmp_path: Path) -> Browser:
    """The sample log, opened."""
    chromium.events.clear()
    chromium.session = ""
    chromium.open(render(sample(), tmp_path / "page.html", title="app.log"))
    return chromium


def shown(page: Browser) -> int:
    """Return how many records the table holds, as the page says it."""
    return int(page.text("#count").split(" of ")[0].replace(",", ""))


def window(page: Browser) -> str:
    return page.text("#window")


def rows(page: Browser) -> list[str]:
    return list(page.run("[...document.querySelectorAll('#rows .row:not([hidden])')].map((row) => row.textContent)"))


def test_one_file_without_a_network() -> None:
    """One self-contained page: no address in it, and a policy that forbids every one."""
    out = io.StringIO()
    assert write_html([], out, title="empty") == 0
    text = out.getvalue()
    assert "default-src 'none'" in text
    assert not re.search(r'(src|href)\s*=\s*"|@import|url\(|https?://', text)
    assert "@@" not in text
    assert data_of(text)["rows"] == []


def test_data_cannot_end_its_element(tmp_path: Path) -> None:
    """Whatever a log holds, `<` does not occur in the data, and control characters are shown as escapes."""
    log = SampleLog().add(HOSTILE, process=HOSTILE, logger=HOSTILE, level=HOSTILE, file=HOSTILE, own=HOSTILE)
    text = render(log, tmp_path / "page.html", title=HOSTILE).read_text(encoding="utf-8")
    assert text.count("<script") == 2
    assert text.count("</script") == 2
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\ufeff]", text)
    assert data_of(text)["rows"][0][7].startswith("<script>window.hacked=1</script>")


def test_newest_records_of_a_long_log(tmp_path: Path) -> None:
    """Of a very long log the table has the newest records; the lanes and errors know them all."""
    data = data_of(render(sample(), tmp_path / "page.html", title="t", most=50).read_text())
    assert (data["total"], len(data["rows"])) == (409, 50)
    assert sum(process["records"] for process in data["processes"]) == 409
    assert data["errors"][0]["count"] == 6


@needs_chromium
def test_the_page_says_what_it_leaves_out(chromium: Browser, tmp_path: Path) -> None:
    """Records that are too many for the table, and damaged lines, are counted and said on the page."""
    log = sample()
    log.lines.insert(200, "torn {")
    chromium.session = ""
    chromium.open(render(log, tmp_path / "page.html", title="t", most=50))
    facts = chromium.text("#facts")
    assert "409 records of 6 processes" in facts
    assert "1 damaged line." in facts
    assert "table and histogram show the newest 50" in facts
    assert shown(chromium) == 50


@pytest.mark.parametrize(("options", "count"), [((), 5), (("--errors", "count"), 5), (("--errors", "skip"), 0)])
def test_damaged_lines_are_said_on_the_page_and_on_stderr(options: tuple[str, ...], count: int) -> None:
    """Damaged lines are counted, on the page as on stderr; `--errors skip` ignores them on both."""
    result = mplog("view", GOLDEN / "damaged.json", "-o", "html", *options)
    assert data_of(result.out)["damaged"] == count
    assert ("mplog: 5 damaged lines" in result.err) == bool(count)


def test_the_command_says_what_the_page_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The table holds the newest records; the command says so when it leaves some out."""
    monkeypatch.setattr("mplog.viewer.html.MOST", 50)
    path = sample().write(tmp_path / "app.json")
    assert main(["view", str(path), "-o", "html", "--out", str(tmp_path / "page.html")]) == 0
    assert "the page shows the newest 50 of 409 records" in capfd.readouterr().err
    assert len(data_of((tmp_path / "page.html").read_text())["rows"]) == 50


@needs_chromium
def test_it_renders(page: Browser) -> None:
    """A lane for each process with start, end and death; histogram; errors grouped; the table."""
    assert "409 records of 6 processes" in page.text("#facts")
    assert "1 died" in page.text("#facts")
    names = page.run("[...document.querySelectorAll('#names button')].map((b) => [b.textContent.trim(), b.className])")
    assert ["ForkPoolWorker-2SIGKILL", "died"] in names
    assert len(names) == 6
    for canvas in ("histogram", "tracks"):
        painted = page.run(
            f"(() => {{ const c = document.getElementById('{canvas}'); let n = 0;"
            f" const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            f" for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }})()"
        )
        assert painted > 1000, canvas
    assert "ValueError: bad <n>" in page.text("#groups")
    assert "←  KeyError" in page.text("#groups")
    assert shown(page) == 409
    assert "order 0 packed" in " ".join(rows(page))
    assert page.requests() == [page.requests()[0]]
    assert page.trouble() == []


@needs_chromium
def test_it_zooms(page: Browser) -> None:
    """Zoom by drag, wheel, buttons and keys; the table follows; double click shows everything."""
    whole = window(page)
    assert whole.startswith("everything")
    page.drag("#histogram", 0.4, 0.6)
    assert 60 < shown(page) < 110
    dragged = window(page)
    assert dragged != whole
    page.wheel("#tracks", 0.5, -300)
    page.wait(f"document.getElementById('window').textContent !== {json.dumps(dragged)}")
    assert shown(page) < 60
    page.click("#zoom-all")
    assert window(page) == whole
    page.run("document.getElementById('timeline').focus()")
    page.key("+")
    zoomed = window(page)
    assert zoomed != whole
    page.key("ArrowRight")
    assert window(page) != zoomed
    page.key("0")
    assert (window(page), shown(page)) == (whole, 409)


@needs_chromium
def test_it_filters(page: Browser) -> None:
    """Filter by text, regex, level, process, logger and kind of error, at once in time line and table."""
    page.run("document.getElementById('search').focus()")
    page.type("order 312 packed")
    page.wait("document.getElementById('count').textContent.startsWith('1 of')")
    assert [row for row in rows(page) if "order 312 packed" in row]
    page.click("#reset")
    assert shown(page) == 409
    page.run("document.getElementById('search').focus()")
    page.type("/^job [0-2] FAILED/")
    page.wait("document.getElementById('count').textContent.startsWith('0 of')")
    page.click("#reset")
    page.run("document.getElementById('search').focus()")
    page.type("/^job [0-2] failed/")
    page.wait("document.getElementById('count').textContent.startsWith('3 of')")
    page.click("#reset")
    page.run("document.getElementById('search').focus()")
    page.type("/(/")
    page.wait("document.getElementById('search').classList.contains('wrong')")
    page.click("#reset")
    page.click("#groups button")
    assert shown(page) == 6
    page.click("#groups button")
    page.click("#names button:nth-child(2)")
    assert shown(page) == 106
    page.click("#reset")
    page.run(
        "{ const list = document.getElementById('level'); list.value = 40; list.dispatchEvent(new Event('change')); }"
    )
    assert shown(page) == 7


@needs_chromium
def test_keyboard_and_details(page: Browser) -> None:
    """The table works without a mouse: arrows, Enter, e for the next error, Escape."""
    page.run("document.getElementById('rows').focus()")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):
        page.key(key)
    assert "order 1 packed" in page.text("#details")
    assert "n=1" in page.text("#details")
    page.key("e")
    assert "job 0 failed" in page.text("#details")
    assert 'File "/srv/app/jobs.py", line 40, in parse' in page.text("#details pre")
    page.key("Escape")
    assert page.run("document.getElementById('details').hidden")
    page.key("/")
    assert page.run("document.activeElement.id") == "search"
    names = page.run(
        "[...document.querySelectorAll('button, input, select, [tabindex]')]"
        ".filter((e) => !(e.textContent.trim() || e.ariaLabel || e.title)).length"
    )
    assert names == 0, "everything that takes the focus has a name"


@needs_chromium
def test_light_and_dark(page: Browser) -> None:
    """Colours follow the system, or the button."""
    light = page.run("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    page.click("#theme")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    assert page.run("getComputedStyle(document.body).backgroundColor") != light


@needs_chromium
@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read(dark: bool, chromium: Browser, tmp_path: Path) -> None:
    """Levels, names and hints have at least the contrast that WCAG 2 asks for, 4.5 to 1, in light and in dark."""
    chromium.session = ""
    chromium.open(render(sample(), tmp_path / "page.html", title="app.log"), dark=dark)
    contrasts = chromium.run(
        """(() => { const rgb = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => { v /= 255;
          return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
        const light = (c) => { const [r, g, b] = rgb(c); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const ground = light(getComputedStyle(document.querySelector('section')).backgroundColor);
        const found = {};
        for (const e of document.querySelectorAll('#rows .row span, .quiet, .legend, #groups span, #names span')) {
          const text = light(getComputedStyle(e).color);
          found[e.className + ' ' + getComputedStyle(e).color] =
            (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05); }
        return found; })()"""
    )
    assert len(contrasts) > 8
    assert {name: value for name, value in contrasts.items() if value < 4.5 and "spark" not in name} == {}


@needs_chromium
def test_hostile_log_does_nothing(chromium: Browser, tmp_path: Path) -> None:
    """A hostile message (`<script>`, ESC) does nothing, wherever in a record it stands."""
    log = SampleLog()
    for _ in range(3):
        exc = exception(HOSTILE, HOSTILE, func=HOSTILE, module=HOSTILE)
        names = dict.fromkeys(("process", "logger", "level", "file", "func", "own"), HOSTILE)
        log.add(HOSTILE, exc=exc, **names)  # type: ignore[arg-type]
    log.died(100, HOSTILE, records=3, last_msg=HOSTILE, signal=HOSTILE)
    chromium.events.clear()
    chromium.session = ""
    chromium.open(render(log, tmp_path / "page.html", title=HOSTILE))
    chromium.run("document.getElementById('rows').focus()")
    chromium.key("End")
    chromium.key("Home")
    chromium.key("Enter")
    chromium.run("document.getElementById('search').focus()")
    chromium.type("<img src=x onerror=alert(1)>")
    chromium.wait("document.getElementById('count').textContent.startsWith('0 of')")
    chromium.click("#reset")
    assert chromium.run("typeof window.hacked") == "undefined"
    assert chromium.run("document.scripts.length") == 2
    assert chromium.run("document.images.length") == 0
    assert "<script>window.hacked=1</script>" in chromium.text("#rows")
    text = chromium.run("document.documentElement.textContent + document.title")
    assert not {"\x1b", "\x07", "\0", "\x9b", "\u202e", "\u2028", "\ufeff"} & set(text)
    assert "\\x1b[2J" in text
    assert chromium.requests() == [chromium.requests()[0]]
    assert chromium.trouble() == []


@needs_chromium
def test_quick_with_a_hundred_thousand_records(chromium: Browser, tmp_path: Path) -> None:
    """The table stays quick with 100,000 records: few rows exist, filter and zoom are not noticed."""
    log = SampleLog()
    for number in range(100_000):
        log.add(f"order {number} packed", pid=200 + number % 8, process=f"ForkPoolWorker-{1 + number % 8}")
    page = render(log, tmp_path / "page.html", title="big")
    log.lines.clear()
    chromium.session = ""
    chromium.open(page)
    assert shown(chromium) == 100_000
    assert chromium.run("document.querySelectorAll('#rows .row').length") < 120
    spent = chromium.run(
        """(() => { const begin = performance.now(); const rows = document.getElementById('rows');
        for (let i = 0; i < 20; i++) { rows.scrollTop = i * 100000; rows.dispatchEvent(new Event('scroll')); }
        for (let i = 0; i < 10; i++) document.getElementById('zoom-in').click();
        document.getElementById('zoom-all').click();
        const level = document.getElementById('level'); level.value = 20;
        for (let i = 0; i < 5; i++) level.dispatchEvent(new Event('change'));
        return performance.now() - begin; })()"""
    )
    assert spent < 4000, "36 redraws of everything; about 0.4 s on an idle core"
    chromium.run("document.getElementById('search').focus()")
    chromium.type("order 99999 ")
    chromium.wait("document.getElementById('count').textContent.startsWith('1 of')")


@needs_chromium
def test_empty_log(chromium: Browser, tmp_path: Path) -> None:
    """A page of nothing opens, too."""
    chromium.events.clear()
    chromium.session = ""
    chromium.open(render(SampleLog(), tmp_path / "page.html", title="empty"))
    assert "0 records" in chromium.text("#facts")
    assert chromium.trouble() == []
