"""Test what several processes log: ``pytest pytest_records.py``. The fixture comes with mplog.

    3 passed
"""

import logging
import multiprocessing
import os
import signal

import pytest

log = logging.getLogger("shop")


def sell(fruit):
    log.info("sold %s", fruit)
    if fruit == "melon":
        log.error("no melons left")
    if fruit == "durian":
        os.kill(os.getpid(), signal.SIGKILL)


def run(*fruits):
    for fruit in fruits:
        worker = multiprocessing.get_context("spawn").Process(target=sell, args=(fruit,), name=f"seller-{fruit}")
        worker.start()
        worker.join()


def test_records_of_all_processes(mplog_records):
    run("apple", "pear")
    assert mplog_records.messages == ["sold apple", "sold pear"]
    assert len(mplog_records(process="seller-apple", level="INFO", logger="shop")) == 1
    mplog_records.assert_no_errors()
    mplog_records.assert_nobody_died()


def test_an_error_anywhere_fails(mplog_records):
    run("melon")
    with pytest.raises(AssertionError, match="no melons left"):
        mplog_records.assert_no_errors()


def test_a_death_fails(mplog_records):
    run("durian")
    assert "sold durian" in mplog_records.messages
    with pytest.raises(AssertionError, match="SIGKILL"):
        mplog_records.assert_nobody_died()
