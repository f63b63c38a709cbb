"""What a field review of the tables found: each finding with the case that shows it."""

from collections.abc import Callable

from immunopath.domain.guidance import Guidance, Option

Run = Callable[..., Guidance]


def option(guidance: Guidance, regimen_id: str) -> Option:
    return next(o for o in guidance.options if o.regimen_id == regimen_id)


def test_amivantamab_with_chemotherapy_is_weak_after_platinum(run: Run) -> None:
    listed = run(drivers="EGFR:ex19del", line=2, prior_therapies=["RX-OSI-CHEMO"])
    again = option(listed, "RX-AMI-CHEMO-2L")
    assert again.strength == "C"
    assert any("MARIPOSA-2 excluded" in note for note in again.notes)
    assert option(listed, "RX-DATO-EGFR").rank < again.rank
    naive = option(run(drivers="EGFR:ex19del", line=2, prior_therapies=["RX-OSI"]),
                   "RX-AMI-CHEMO-2L")  # fmt: skip
    assert (naive.rank, naive.strength) == (1, "A2")


def test_a_combination_with_platinum_after_platinum_is_weak(run: Run) -> None:
    late = run(drivers="EGFR:ex19del", line=2, prior_therapies=["RX-PLAT-TAX"])
    assert option(late, "RX-OSI-CHEMO").strength == "C"
    assert option(late, "RX-OSI").strength == "A1"


def test_chemotherapy_ranks_behind_the_target(run: Run) -> None:
    listed = run(drivers="KRAS:G12C", line=2, prior_therapies=["RX-GEM-2L"])
    assert option(listed, "RX-SOTO").rank < option(listed, "RX-PLAT-PEM").rank
