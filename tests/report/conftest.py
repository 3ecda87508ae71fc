"""A finished run, fresh for every test."""

import copy
from typing import Any

import made_up_run
import pytest


@pytest.fixture
def summary() -> dict[str, Any]:
    return copy.deepcopy(made_up_run.SUMMARY)


@pytest.fixture
def history() -> dict[str, Any]:
    return {
        "schema_version": 1,
        "judged_after_epochs": 6,
        "judged_on_folds": 1,
        "candidates": made_up_run.candidates(),
        "curves": made_up_run.curves(),
    }


@pytest.fixture
def answered() -> dict[str, Any]:
    return made_up_run.answered()
