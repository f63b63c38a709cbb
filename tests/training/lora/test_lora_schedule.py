"""What stands where in a run: every patient in every epoch, other tiles each time, no surprise."""

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from immunopath.training.lora.cohort import Patient
from immunopath.training.lora.config import DataConfig
from immunopath.training.lora.schedule import TrainSchedule, groups, spread, validation_places
from immunopath.training.samples import Sample


def patients(counts: list[int]) -> list[Patient]:
    made = []
    for i, n in enumerate(counts):
        tiles = tuple(Path(f"P{i}-{j}.png") for j in range(n))
        sample = Sample(patient_id=f"P{i}", labels={"til_fraction": 0.5})
        made.append(Patient(sample, tiles, tiles[::2]))
    return made


@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    tiles=st.integers(1, 6),
    images=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_every_epoch_shows_every_patient_and_no_tile_twice(
    counts: list[int], tiles: int, images: int, seed: int
) -> None:
    data = DataConfig(tiles=max(tiles, images), images=images)
    schedule = TrainSchedule(patients(counts), data, seed)
    for epoch in range(2):
        places = [schedule.place(epoch * schedule.rows + i) for i in range(schedule.rows)]
        shown = Counter((p.patient, tile) for p in places for tile in set(p.tiles))
        for i, n in enumerate(counts):
            own = [tile for patient, tile in shown if patient == i]
            assert len(own) == min(n, data.tiles)
            assert all(str(tile).startswith(f"P{i}-") for tile in own)
        full = [p for p in places if counts[p.patient] >= images]
        assert all(len(p.tiles) == images for p in full)


def test_a_place_depends_on_seed_and_index_alone() -> None:
    made = [TrainSchedule(patients([9, 9, 9]), DataConfig(tiles=4, images=2), s) for s in (0, 0, 1)]
    one, same, other = ([s.place(i) for i in (5, 17, 3)] for s in made)
    for a, b in zip(one, reversed([made[1].place(i) for i in (3, 17, 5)]), strict=True):
        assert (a.patient, a.tiles) == (b.patient, b.tiles)
        assert a.source.random() == b.source.random()
    assert [p.tiles for p in same] != [p.tiles for p in other]


def test_epochs_draw_other_tiles_and_another_order() -> None:
    schedule = TrainSchedule(patients([20] * 5), DataConfig(tiles=4, images=2), 0)
    epochs = [
        [schedule.place(e * schedule.rows + i) for i in range(schedule.rows)] for e in range(2)
    ]
    assert [p.patient for p in epochs[0]] != [p.patient for p in epochs[1]]
    drawn = [{t for p in places for t in p.tiles} for places in epochs]
    assert drawn[0] != drawn[1]


def test_first_takes_the_selected_tiles_as_they_stand() -> None:
    data = DataConfig(tiles=2, images=2, choice="first")
    schedule = TrainSchedule(patients([8]), data, 0)
    tiles = {schedule.place(i).tiles for i in range(3)}
    assert tiles == {(Path("P0-0.png"), Path("P0-2.png"))}


def test_validation_rows_never_change() -> None:
    data = DataConfig(images=2, tiles=2, validation_tiles=4)
    first, second = (validation_places(patients([12, 3]), data) for _ in range(2))
    assert [p.tiles for p in first] == [p.tiles for p in second]
    assert [p.patient for p in first] == [0, 0, 1, 1]
    assert [str(t) for t in first[0].tiles] == ["P0-1.png", "P0-4.png"]


def test_groups_and_spread() -> None:
    five = [Path(str(i)) for i in range(5)]
    assert [len(g) for g in groups(five, 2)] == [2, 2, 2]
    assert groups(five, 2)[-1] == (five[4], five[0])
    assert groups(five[:1], 2) == [(five[0],)]
    assert spread(five, 9) == five
    assert spread(five, 1) == [five[2]]
