"""Labels of every kind, and those that are none."""

from __future__ import annotations

import datetime

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jaxiso.metrics.labels import as_codes
from jaxiso.metrics.silhouette import silhouette_score

CODES = [0, 1, 0, 2, 1, 0]
DAYS = [datetime.date(2020, 1, 1 + code) for code in CODES]
TEXT = np.array(["a", "b", "c"])[CODES]
OF_NUMBERS = [
    CODES,
    np.array(CODES, np.uint8),
    jnp.asarray(CODES),
    np.array(CODES) / 2,
    np.array(CODES, object),
    np.array(CODES) + 1j,
    [2**70 + code for code in CODES],
    np.ma.masked_array(CODES, mask=False),
    pd.Series(CODES, index=list("uvwxyz")),
    pd.array(CODES, dtype="Int64"),
]
OF_TEXT = [
    TEXT,
    TEXT.tolist(),
    TEXT.astype(object),
    TEXT.astype("S"),
    TEXT.astype(np.dtypes.StringDType()),
    pd.Series(TEXT),
    pd.Categorical(TEXT),
    [f"\ud800{name}" for name in TEXT],  # half of a surrogate pair: odd, but text
    DAYS,
    np.array(DAYS, "M8[ns]"),
    list(np.array(DAYS, "M8[ns]")),
    pd.Series(pd.to_datetime(DAYS)),
    [pd.Timestamp(day) for day in DAYS],
]


@pytest.mark.parametrize("labels", OF_NUMBERS + OF_TEXT)
def test_codes(labels):
    codes, k = as_codes(labels, 6)
    assert codes.tolist() == CODES and codes.dtype == np.int32 and k == 3


def test_two_labels():
    assert as_codes([True, False, True], 3)[0].tolist() == [1, 0, 1]
    assert as_codes([0.5, 1, 0.5], 3)[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, np.nan, 2, 1], r"Labels contain NaN or infinity: labels\[1\] is nan"),
        ([1, 2, np.inf, 1], r"labels\[2\] is inf"),
        (np.array([1, 2, complex(0, np.nan), 1]), r"NaN or infinity: labels\[2\]"),
        (np.array([1, 2, np.nan, np.nan], object), r"Labels are missing: labels\[2\] is nan"),
        (["a", None, "b", "a"], r"missing: labels\[1\] is None"),
        ([1, 1, 2, None], r"missing: labels\[3\] is None"),
        ([pd.NaT, *DAYS[:3]], r"missing: labels\[0\] is NaT"),
        (np.array(["2020", "NaT", "2021", "2020"], "M8[D]"), r"missing: labels\[1\] is NaT"),
        (np.array([1, 2, "NaT", 1], "m8[s]"), r"missing: labels\[2\] is NaT"),
        (pd.Series(["a", None, "b", "a"]), r"labels\[1\] is nan"),
        (pd.Series(["a", pd.NA, "b", "a"], dtype=object), r"labels\[1\] is <NA>"),
        (pd.array([1, None, 2, 1], dtype="Int64"), r"labels\[1\] is (nan|<NA>)"),
        (pd.Categorical(["a", None, "b", "a"]), r"labels\[1\] is nan"),
        (np.ma.masked_equal([1, 2, 3, 1], 3), r"labels\[2\] is masked; leave it out"),
        (["a", np.nan, "b", "a"], r"of different kinds: labels\[1\], nan, would be read as 'nan'"),
        (["1", "2", 1, "2"], r"labels\[2\], 1, would be read as '1'. Make them all text"),
        ([2**53, 2**53 + 1, 0.5, 0.5], r"labels\[1\], 9007199254740993, would be read as"),
        (["a", "a\0", "b", "b"], r"labels\[1\], 'a\\x00', would be read as 'a'"),
        ([b"a", "a", "b", "b"], r"labels\[0\], b'a', would be read as 'a'"),
        (np.array([1, "a", 2, "a"], object), "Labels cannot be sorted.*Make them all text"),
        ([[1], [1, 2], [1], [1]], "1D array of labels"),
        (np.zeros((4, 1)), r"1D array of labels; got an array of shape \(4, 1\)"),
        ("text", r"1D array of labels; got an array of shape \(\)"),
        ([1, 2, 3], r"inconsistent numbers of samples: 4 points, 3 labels"),
        ([1, 1, 1, 1], r"Number of labels is 1\. Valid values are 2 to n_samples - 1 .*2 to 3\."),
        ([1, 2, 3, 4], r"Number of labels is 4\. .* \(inclusive\)"),
    ],
)
def test_refused_labels(labels, message):
    for call in (as_codes, lambda labels, n: silhouette_score(np.eye(n), labels)):
        with pytest.raises(ValueError, match=message):
            call(labels, 4)
