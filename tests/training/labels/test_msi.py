from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import CohortError, DuplicatePatient
from immunopath.training.labels.calls import read_calls
from immunopath.training.labels.msi import MsiEvidence, call_msi, count_msi

TABLE = Path(__file__).parents[2] / "data/rna/open_labels_cut.tsv"


@pytest.mark.parametrize(
    ("mantis", "sensor", "value"),
    [
        (0.4, None, "MSS"),  # above, not from
        (0.4001, None, "MSI-H"),
        (None, 3.5, "MSI-H"),  # from, not above
        (None, 3.49, "MSS"),
        (0.9, 20.0, "MSI-H"),
        (0.2, 0.1, "MSS"),
        (None, None, None),
        (0.4423, 2.19, None),
    ],
)
def test_the_two_scores(mantis: float | None, sensor: float | None, value: str | None) -> None:
    call = call_msi(MsiEvidence(mantis=mantis, sensor=sensor))
    assert call.value == value
    assert call.conflict == (mantis == 0.4423)


@pytest.mark.parametrize("word", ["", "Indeterminate", "C6", "not tested"])
def test_a_word_that_means_nothing_is_unknown_and_never_stable(word: str) -> None:
    assert call_msi(MsiEvidence(published=word)).value is None


@given(
    st.sampled_from(["", "MSI-H", "MSS", "MSI-L", "Indeterminate"]),
    st.one_of(st.none(), st.floats(0, 2)),
    st.one_of(st.none(), st.floats(0, 50)),
)
def test_a_call_is_unknown_exactly_without_sources_or_in_conflict(
    word: str, mantis: float | None, sensor: float | None
) -> None:
    call = call_msi(MsiEvidence(published=word, mantis=mantis, sensor=sensor))
    assert (call.value is None) == (len(set(call.sources.values())) != 1)
    assert call.conflict == (len(set(call.sources.values())) == 2)


def test_counts_of_the_open_table() -> None:
    """The cut keeps every positive patient, the one in conflict and all that lack MANTIS."""
    counts = count_msi(c.msi for c in read_calls([TABLE]).values())
    assert counts.n == 200
    assert (counts.msi_h, counts.unknown, counts.conflicts) == (3, 4, 1)
    assert counts.mss == 200 - 3 - 4
    assert (counts.mantis_msi_h, counts.sensor_msi_h) == (3, 3)


def table(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_tables_as_they_are_downloaded(tmp_path: Path) -> None:
    bagaev = table(
        tmp_path, "a.tsv", "\tMFP\tMSI\nTCGA-05-4244-01A\tIE_F\tMSS\nTCGA-05-4249\t\tMSI\n"
    )
    cbioportal = table(
        tmp_path,
        "b.txt",
        "#Patient\tMANTIS\tMSIsensor\nPATIENT_ID\tMSI_SCORE_MANTIS\tMSI_SENSOR_SCORE\n"
        "TCGA-05-4244\tNA\t0.2\nTCGA-05-4249\t0.2\t\nTCGA-05-4250\t0.6\t4\n",
    )
    calls = read_calls([bagaev, cbioportal])
    assert [calls[f"TCGA-05-42{n}"].msi.value for n in ("44", "49", "50")] == ["MSS", None, "MSI-H"]
    assert calls["TCGA-05-4249"].msi.conflict
    assert [calls[f"TCGA-05-42{n}"].tme for n in ("44", "49", "50")] == ["IE/F", None, None]


def test_unread_words_are_kept_and_counted(tmp_path: Path) -> None:
    path = table(tmp_path, "a.csv", "patient_id,mfp,msi\n1,IE,odd\n2,immune,MSS\n")
    calls = read_calls([path])
    assert calls["1"].unread == {"msi": "odd"}
    assert calls["2"].unread == {"tme": "immune"}
    assert count_msi(c.msi for c in calls.values()).unread_words == {"odd": 1}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("patient_id,mfp\n1,IE\n1,D\n", DuplicatePatient, "line 3: patient 1 says another"),
        ("who,mfp\n1,IE\n", CohortError, "no patient column"),
        ("patient_id,age\n1,70\n", CohortError, "no column of calls"),
        ("patient_id,msi_mantis\n1,high\n", CohortError, "line 2: 'high' is no number"),
        ("patient_id,msi_mantis\n1,inf\n", CohortError, "line 2: 'inf' is not finite"),
    ],
)
def test_bad_tables_are_named(
    tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_calls([table(tmp_path, "c.csv", text)])


def test_another_cohort_in_the_table_stops_nothing(tmp_path: Path) -> None:
    rows = "patient_id,mfp\nTCGA-05-4244-01A,IE\nTCGA-05-4244-06A,D\nTCGA-EE-0001,F\n"
    path = table(tmp_path, "c.csv", rows + "TCGA-EE-0001,D\n")
    assert read_calls([path], {"TCGA-05-4244"})["TCGA-05-4244"].tme == "IE"
    with pytest.raises(DuplicatePatient, match="TCGA-EE-0001"):
        read_calls([path])


def test_a_table_that_names_nobody_of_the_cohort_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "c.csv", "patient_id,mfp\n1,IE\n")
    with pytest.raises(CohortError, match=r"c\.csv: names no patient of the cohort"):
        read_calls([path], {"2"})
    assert read_calls([], {"2"}) == {}


def test_the_same_row_twice_is_no_contradiction(tmp_path: Path) -> None:
    calls = read_calls([table(tmp_path, "c.csv", "patient_id,mfp\n1,IE\n1,IE\n")])
    assert calls["1"].tme == "IE"
