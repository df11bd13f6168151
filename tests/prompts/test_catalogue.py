from pathlib import Path

import pytest

from prompts.catalogue import Catalogue, MissingValue, SurplusValue, UnknownPrompt, Utterance, WrongCatalogue


def load(folder: Path, text: str | bytes) -> Catalogue:
    (folder / "en.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return Catalogue.load(
        "en", service="MOVANS", number="8665550182", operator="5735550100", crisis="8005550199", folder=folder
    )


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return load(
        tmp_path,
        "welcome: Welcome to {service}.\n"
        "operator: Call {operator}.\n"
        "status: >\n  {name} is\n  in {facility}.\n"
        "thanks: Thank you.\n",
    )


def test_a_prompt_without_values_is_said_from_its_built_sound(catalogue: Catalogue) -> None:
    assert catalogue.utter("thanks") == Utterance("Thank you.", "en", "thanks")


def test_a_prompt_with_values_is_made_at_call_time_as_one_sentence(catalogue: Catalogue) -> None:
    said = catalogue.utter("status", name="John Smith", facility="the Boone County Jail")
    assert said == Utterance("John Smith is in the Boone County Jail.", "en", None)


def test_the_services_own_values_are_filled_in_and_numbers_are_spoken(catalogue: Catalogue) -> None:
    assert catalogue.utter("welcome").words == "Welcome to MOVANS."
    assert catalogue.utter("operator") == Utterance("Call 5 7 3, 5 5 5, 0 1 0 0.", "en", "operator")


def test_fixed_prompts_are_those_that_need_nothing_of_the_call(catalogue: Catalogue) -> None:
    assert catalogue.fixed() == {
        "welcome": "Welcome to MOVANS.",
        "operator": "Call 5 7 3, 5 5 5, 0 1 0 0.",
        "thanks": "Thank you.",
    }


def test_braces_in_a_value_are_not_filled_in_again(catalogue: Catalogue) -> None:
    assert catalogue.utter("status", name="{facility}", facility="jail").words == "{facility} is in jail."


def test_an_unknown_prompt_is_named(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownPrompt, match="no prompt 'welcom' in the language 'en'"):
        catalogue.utter("welcom")


def test_a_missing_value_is_named(catalogue: Catalogue) -> None:
    with pytest.raises(MissingValue, match=r"'status' was given no \{facility\}"):
        catalogue.utter("status", name="John Smith")


def test_a_surplus_value_is_named_and_not_shown(catalogue: Catalogue) -> None:
    with pytest.raises(SurplusValue, match=r"'thanks' was given \{pin\}") as raised:
        catalogue.utter("thanks", pin="2580")
    assert "2580" not in str(raised.value)


def test_a_flow_cannot_replace_the_services_own_values(catalogue: Catalogue) -> None:
    with pytest.raises(SurplusValue, match="service"):
        catalogue.utter("welcome", service="another")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must hold lines of the form"),
        ("- welcome\n", "must hold lines of the form"),
        ("just words\n", "must hold lines of the form"),
        ("welcome: 911\n", "prompt 'welcome': its words are not text .* int"),
        ("welcome: yes\n", "prompt 'welcome': its words are not text .* bool"),
        ("welcome:\n", "prompt 'welcome': its words are not text"),
        ("welcome: {name}\n", "prompt 'welcome': its words are not text .* dict"),
        ("welcome: ' '\n", "prompt 'welcome': has no words"),
        ("yes: Yes.\n", "prompt True: an id is made of small letters"),
        ("../welcome: Hello.\n", "prompt '../welcome': an id is made of small letters"),
        ("welcome: Hello {Name}.\n", "prompt 'welcome': a placeholder is a name of small letters"),
        ("welcome: Hello {name!r}.\n", "prompt 'welcome': a placeholder"),
        ("welcome: Hello {name:>9}.\n", "prompt 'welcome': a placeholder"),
        ("welcome: Hello {}.\n", "prompt 'welcome': a placeholder"),
        ("welcome: Hello {name.\n", "prompt 'welcome': a placeholder"),
        ("welcome: Hello name}.\n", "prompt 'welcome': a placeholder"),
        ("welcome: Hello.\nwelcome: Good day.\n", "is not YAML: 'welcome' stands there twice"),
        ("? [a, b]\n: Hello.\n", "is not YAML"),
        ("welcome: Hello: you\n", "is not YAML"),
        (b"welcome: \xff\n", "is not UTF-8"),
    ],
)
def test_a_wrong_file_is_named_with_the_prompt_and_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(WrongCatalogue, match=f"en.yaml: {says}"):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongCatalogue, match=r"es.yaml: cannot be read: No such file"):
        Catalogue.load(
            "es", service="MOVANS", number="8665550182", operator="5735550100", crisis="8005550199", folder=tmp_path
        )


def test_the_english_catalogue_can_be_read_and_holds_the_digits_and_the_apology() -> None:
    english = Catalogue.load("en", service="MOVANS", number="8665550182", operator="5735550100", crisis="8005550199")
    assert {"apology", *(f"digit_{n}" for n in range(10))} <= set(english.fixed())
    assert "5 7 3, 5 5 5, 0 1 0 0" in english.utter("apology").words
