"""The torch head that is fitted and the numpy head that runs are one; fitting is reproducible."""

import math

import mil_head
import numpy as np
import pytest
import torch

from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.mil.network import MilHead, number_table
from immunopath.training.mil.fit import Bags, Epoch, fit_head
from immunopath.training.mil.module import GatedAttention, field_loss
from immunopath.training.mil.settings import MilSettings
from immunopath.training.mil.targets import Target

SIZE = 6
QUICK = MilSettings(members=2, epochs=6, hidden=8, attention=4)
NAMES = ("til_fraction", "immune_phenotype")


def bags(n: int, seed: int, *, rare: float = 0.5) -> Bags:
    """Patients whose label is the first number of one tile of three."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0, 1, n)
    rows = []
    for value in share:
        tiles = rng.normal(0, 0.3, (3, SIZE)).astype(np.float32)
        tiles[int(rng.integers(3)), 0] += np.float32(6 * value)
        rows.append(tiles)
    kinds = np.where(share < rare, 0.0, 1.0)
    targets = {"til_fraction": share, "immune_phenotype": kinds}
    return Bags(rows, {name: Target(name, labels) for name, labels in targets.items()})


def head_of(tensors: dict[str, np.ndarray], members: int) -> MilHead:  # type: ignore[type-arg]
    return MilHead(mil_head.record(NAMES, members=members), tensors)


def test_numpy_and_torch_give_the_same_outputs() -> None:
    dims = {name: len(values or "mu") for name, values in FIELD_VALUES.items()}
    torch.manual_seed(3)
    model = GatedAttention(SIZE, 8, 4, 0.0, dims).eval()
    torch.nn.init.normal_(model.score.weight)
    tensors = {f"0.{k}": v.numpy() for k, v in model.state_dict().items()}
    tensors |= {"mean": np.zeros(SIZE, np.float32), "scale": np.ones(SIZE, np.float32)}
    rows = np.random.default_rng(0).normal(size=(5, SIZE)).astype(np.float32)
    found = MilHead(mil_head.record(tuple(dims)), tensors).read(rows)
    padded, mask = torch.zeros(1, 7, SIZE), torch.arange(7)[None] < 5
    padded[0, :5] = torch.from_numpy(rows)
    for name, raw in model(padded, mask).items():
        values = raw[0].detach().double()
        number = FIELD_VALUES[name] is None
        table = number_table(values.numpy()) if number else torch.softmax(values, 0).numpy()
        np.testing.assert_allclose(found[name].case, table, atol=1e-6)


def test_the_numbers_loss_is_the_density_of_the_table_that_is_read() -> None:
    raw = torch.tensor([[0.3, -2.0]])
    table = number_table(raw[0].double().numpy())
    for at in (20, 57, 80):
        loss = field_loss(raw, torch.tensor([at / 100]), None)
        assert float(torch.exp(-loss)) / 100 == pytest.approx(table[at], rel=0.01)


def test_a_rare_class_weighs_as_much_whatever_batch_it_is_in() -> None:
    """Else `log(weights)` takes out more than they put in, and the rare class is understated."""
    raw = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 2)))
    labels = torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 1])
    weights = torch.tensor([4.0, 0.6], dtype=torch.float64)
    parts = [field_loss(raw[i : i + 4], labels[i : i + 4], weights) for i in (0, 4)]
    assert float(sum(parts) / 2) == pytest.approx(float(field_loss(raw, labels, weights)))


def test_unknown_labels_carry_no_loss_and_no_gradient() -> None:
    raw = torch.zeros(3, 2, requires_grad=True)
    weights = torch.ones(2)
    one = field_loss(raw, torch.tensor([0.0, math.nan, math.nan]), weights)
    one.backward()  # type: ignore[no-untyped-call]
    assert raw.grad is not None
    assert bool((raw.grad[1:] == 0).all())
    assert bool((raw.grad[0] != 0).any())
    nothing = field_loss(raw, torch.full((3,), math.nan), weights)
    assert float(nothing.detach()) == 0


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    train, val = bags(24, 1), bags(12, 2)
    state = torch.get_rng_state()
    one, two = (fit_head(train, val, QUICK) for _ in range(2))
    other = fit_head(train, val, QUICK.model_copy(update={"seed": 1}))
    assert all(np.array_equal(one.tensors[k], two.tensors[k]) for k in one.tensors)
    assert one.history == two.history
    assert not np.array_equal(one.tensors["0.trunk.weight"], other.tensors["0.trunk.weight"])
    assert not np.array_equal(one.tensors["0.trunk.weight"], one.tensors["1.trunk.weight"])
    assert torch.equal(torch.get_rng_state(), state)  # nobody else's seed is touched


def test_it_finds_the_one_tile_that_matters() -> None:
    settings = MilSettings(members=1, epochs=80, hidden=16, tile_dropout=0.0)
    fitted = fit_head(bags(120, 1), bags(40, 2), settings)
    head, test = head_of(fitted.tensors, 1), bags(60, 3)
    tables = [head.read(rows) for rows in test.rows]
    guess = [table["til_fraction"].case @ np.linspace(0, 1, 101) for table in tables]
    assert np.corrcoef(guess, test.targets["til_fraction"].labels)[0, 1] > 0.85
    strong = [
        int(np.argmax(rows[:, 0])) for rows, g in zip(test.rows, guess, strict=True) if g > 0.5
    ]
    looked = [
        int(table["til_fraction"].attention.argmax())
        for table, g in zip(tables, guess, strict=True)
        if g > 0.5
    ]
    assert np.mean(np.array(strong) == np.array(looked)) > 0.9


def test_labels_that_are_noise_stop_early_and_say_nothing() -> None:
    train, val = bags(40, 1), bags(20, 2)
    rng = np.random.default_rng(0)
    mixed = {
        name: Target(name, rng.permutation(target.labels)) for name, target in train.targets.items()
    }
    seen: list[Epoch] = []
    settings = MilSettings(members=1, epochs=200, hidden=16, patience=5)
    fitted = fit_head(Bags(train.rows, mixed), val, settings, seen.append)
    assert tuple(seen) == fitted.history
    assert len(seen) < 60
    best = min(seen, key=lambda epoch: epoch.val_loss)
    assert seen[-1].epoch - best.epoch >= 5


def test_tables_keep_the_frequencies_whatever_the_classes_weigh() -> None:
    """Weights change what a rare class costs, not what its probability means."""
    train, val, test = (bags(200, seed, rare=0.15) for seed in (1, 2, 3))

    def stated(balance: float) -> list[float]:
        settings = MilSettings(members=1, epochs=40, hidden=8, balance=balance)
        head = head_of(fit_head(train, val, settings).tensors, 1)
        tables = [head.read(rows)["immune_phenotype"].case for rows in test.rows]
        return [float(p) for p in np.mean(tables, axis=0)]

    plain, balanced = stated(0.0), stated(1.0)
    assert balanced == pytest.approx(plain, abs=0.03)  # without the correction: 0.2
    assert plain[0] == pytest.approx(0.12, abs=0.06)
    assert plain[2] < 0.05  # a class without one case
