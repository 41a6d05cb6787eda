"""The blocks on thresholds of a class."""

import re

from whence.records.class_curves import ThresholdRow, ThresholdTable
from whence.report.blocks import Page, PageSection
from whence.report.curve_blocks import show_thresholds
from whence.report.page import render_page


def test_the_threshold_that_is_used_stands_out_and_is_not_called_the_best():
    rows = (ThresholdRow(0.25, 3, 2, 4.0), ThresholdRow(0.5, 2, 1, 5.0, chosen=True))
    block = show_thresholds(ThresholdTable("cat", 4, 6, 2.0, rows))
    (table,) = block.shown
    assert [cell.text for cell in table.rows[0].cells] == ["75.0%", "60.0%", "2", "1", "4"]
    html = render_page(Page("A page", (), (PageSection("t", "T", (block,)),), ()))
    heads = re.findall('<th scope="row">(.*?)</th>', html)
    assert heads == ["from 25.0% on", "from 50.0% on (used)"]


def test_an_option_is_not_divided_after_its_hyphens():
    block = show_thresholds(ThresholdTable("a<b", 4, 6, 1.0, ()))
    html = render_page(Page("A page", (), (PageSection("t", "T", (block,)),), ()))
    assert 'choose it with <span class="option">--target-recall</span> or ' in html
    assert "What answering a&lt;b from a probability on gives" in html
