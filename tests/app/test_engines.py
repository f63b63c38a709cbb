"""What the browser may choose, and what it may not."""

import pytest

from immunopath.app.engines import EnginePool, Menu
from immunopath.domain.errors import InputError
from immunopath.models.registry import PROFILES, ROLES
from immunopath.pipeline.settings import Settings

MENU = Menu(Settings(predictor="embedded"), {"predictor": ("mil:heads/a",)})


def test_what_was_given_at_the_start_is_offered_and_engines_that_need_an_id_are_not() -> None:
    assert MENU.offered("predictor") == ("embedded", "mil:heads/a", "medgemma", "none")
    assert "hf-vision" not in MENU.offered("embedder")


def test_nothing_chosen_is_as_started() -> None:
    assert MENU.settings({}) == MENU.started
    assert MENU.settings(dict.fromkeys(("profile", *ROLES), "")) == MENU.started


def test_a_profile_takes_its_own_engines_and_a_role_goes_before_it() -> None:
    chosen = MENU.settings({"profile": "foundation", "drugs": "embedded"})
    assert str(chosen.spec("predictor")) == PROFILES["foundation"]["predictor"]
    assert str(chosen.spec("drugs")) == "embedded"
    assert MENU.settings({"predictor": "mil:heads/a"}).predictor == "mil:heads/a"


@pytest.mark.parametrize("engine", ["mil:/etc", "medgemma:/root", "medgemma:evil/repo", "constant"])
def test_no_engine_string_comes_from_the_browser(engine: str) -> None:
    with pytest.raises(InputError, match="is not offered on this page"):
        MENU.settings({"predictor": engine})
    with pytest.raises(InputError, match="choose one of embedded, foundation"):
        MENU.settings({"profile": engine})


def test_engines_stay_loaded_until_others_need_the_room() -> None:
    pool = EnginePool(size=1)
    first = pool.get(Settings())
    assert pool.get(Settings()) is first
    pool.get(Settings(drugs="none"))
    assert pool.get(Settings()) is not first
    pool.close()
