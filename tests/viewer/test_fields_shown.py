"""Fields by name: dotted ones, times, -k and -K in every format."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from viewer_command import mplog

RECORD = {
    "time": "2026-11-22T11:11:11.123000Z", "level": "INFO", "msg": "m", "logger": "a", "process": "P", "pid": 1,
    "seq": 1, "a.b": 1, "c": {"d": 2},
}  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """One record with a field whose name has a dot, and one with a member."""
    path = tmp_path / "app.json"
    path.write_text(json.dumps(RECORD, separators=(",", ":")) + "\n")
    return path


def test_a_dotted_field_is_shown_once(log: Path) -> None:
    """`-k a.b` shows the field of that name, or the member, once."""
    assert mplog("view", log, "-k", "a.b,c.d").out.endswith("a: m c.d=2 a.b=1\n")


@pytest.mark.parametrize("output", ["jsonl", "json", "logfmt"])
def test_a_dotted_field_is_shown_in_every_format(log: Path, output: str) -> None:
    """`-k c.d` looks inside fields, in the formats for programs too; other spellings of the schema's names do."""
    out = mplog("view", log, "-k", "c.d,message", "-o", output).out
    assert out == "msg=m c.d=2\n" if output == "logfmt" else '{"msg":"m","c.d":2}' in out


def test_csv_hides_by_glob(log: Path) -> None:
    """`-K 'p*'` hides columns of CSV, and own fields from the column of all of them."""
    rows = list(csv.DictReader(mplog("view", log, "-o", "csv", "-K", "p*,c*").out.splitlines()))
    assert not {"process", "pid"} & rows[0].keys()
    assert rows[0]["fields"] == '{"a.b":1}'


def test_csv_has_the_columns_that_a_glob_is_like(log: Path) -> None:
    """`-k 'p*'` stands for the schema's fields in CSV; own fields like a wildcard are in the column `fields`."""
    assert mplog("view", log, "-o", "csv", "-k", "p*,c.d").out == "process,pid,c.d\nP,1,2\n"
    assert mplog("view", log, "-o", "csv", "-k", "pid,a*").out == 'pid,fields\n1,"{""a.b"":1}"\n'
    assert mplog("view", log, "-o", "csv", "-k", "pid,fields", "-K", "c").out == 'pid,fields\n1,"{""a.b"":1}"\n'


def test_time_is_shown_as_a_time(log: Path) -> None:
    """The field `time` is a time, not a number: in a template, in --values, in ~ and with -k."""
    stamp = str(RECORD["time"])
    assert mplog("view", log, "--template", "{time}").out == f"{stamp}\n"
    assert mplog("view", log, "--values", "time").out.startswith(stamp)
    assert mplog("view", log, "-q", 'time~"T11:11"').code == 0
    assert "1795345871" not in mplog("view", log, "-k", "time,pid").out


@pytest.mark.parametrize("condition", [["-q", 'time>="14:30"'], ["time>=14:30"]])
def test_times_in_conditions_are_in_the_zone_shown(log: Path, condition: list[str]) -> None:
    """A time without a zone is in the zone of --tz or --utc, in -q and FIELD=VALUE as after --since."""
    for zone, clock in ((["--tz", "+05:00"], "09:30"), (["--utc"], "14:30"), (["--tz", "Asia/Tokyo"], "05:30")):
        explained = mplog("view", log, *condition, *zone, "--explain", env={"TZ": "America/New_York"})
        assert f"T{clock}:00.000000Z" in explained.out


def test_a_hint_takes_a_dotted_name_for_known(log: Path) -> None:
    """Whoever asks for a dotted field that is there is not told that no record has it."""
    assert "no record has" not in mplog("view", log, "a.b=7").err
    assert mplog("view", log, "-k", "a.b").err == ""
