"""Whatever is said in one language is said in every other: the same prompts, with the same placeholders."""

import re
from pathlib import Path

import pytest

from prompts import spoken
from prompts.catalogue import HERE, Catalogue, WrongCatalogue, load_all, read

SHIPPED = sorted(file.stem for file in HERE.glob("*.yaml"))
ENGLISH = "thanks: Thank you.\nreturned: Now {name} is in the {facility} again.\n"
SPANISH = "thanks: Gracias.\nreturned: De nuevo en {facility} está {name}.\n"


def load(folder: Path, spanish: str) -> dict[str, Catalogue]:
    (folder / "en.yaml").write_text(ENGLISH)
    (folder / "es.yaml").write_text(spanish)
    return load_all(
        ["en", "es"], service="MOVANS", number="8665550182", operator="5735550100", crisis="8005550199", folder=folder
    )


def test_english_and_spanish_are_here() -> None:
    assert {"en", "es"} <= set(SHIPPED)


@pytest.mark.parametrize("language", SHIPPED)
def test_every_language_has_the_prompts_and_placeholders_of_the_first(language: str) -> None:
    first, other = (
        Catalogue.load(name, service="MOVANS", number="8665550182", operator="5735550100", crisis="8005550199")
        for name in ("en", language)
    )
    assert other.unlike(first) == []


def grade(words: str) -> float:
    """The school grade in which English words are understood (Flesch-Kincaid); syllables are only counted roughly."""
    words = re.sub(r"\{[a-z_]+\}", "John", words)
    spoken_words = re.findall(r"[A-Za-z']+", words)
    vowels = re.findall(r"[aeiouy]+", re.sub(r"(?<=[a-z]{2}[^aeiouyl])e\b|(?<=[^aeiouytd])ed\b", "", words.lower()))
    sentences = re.findall(r"[.!?:](?:\s|$)", words)
    return 0.39 * len(spoken_words) / len(sentences) + 11.8 * len(vowels) / len(spoken_words) - 15.59


def test_english_is_understood_in_the_sixth_grade() -> None:
    """All of it. A prompt alone is so short that one "registered" raises its grade by two."""
    prompts = {prompt: words for prompt, words in read(HERE / "en.yaml").items() if len(words.split()) > 7}
    assert {prompt for prompt, words in prompts.items() if grade(words) > 10} == set()
    assert grade(" ".join(prompts.values())) < 6


@pytest.mark.parametrize("language", SHIPPED)
def test_every_language_says_dates_and_names(language: str) -> None:
    assert language in spoken.LANGUAGES


def test_each_language_is_offered_with_the_key_of_its_place(tmp_path: Path) -> None:
    (tmp_path / "en.yaml").write_text("choose_language: For English, press {language_key}.")
    (tmp_path / "es.yaml").write_text("choose_language: Para español, oprima el {language_key}.")
    found = load_all(
        ["es", "en"], service="MOVANS", number="8665550182", operator="5735550100", crisis="8005550199", folder=tmp_path
    )
    assert {language: one.fixed()["choose_language"] for language, one in found.items()} == {
        "es": "Para español, oprima el 1.",
        "en": "For English, press 2.",
    }


def test_the_order_of_words_and_placeholders_is_free(tmp_path: Path) -> None:
    assert load(tmp_path, SPANISH)["es"].utter("returned", name="N", facility="F").words == "De nuevo en F está N."


def test_each_prompt_that_differs_by_more_than_its_words_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongCatalogue) as wrong:
        load(tmp_path, "returned: Está {name}, {number}.\nthankyou: Gracias.\n")
    assert str(wrong.value).splitlines() == [
        f"{tmp_path}/es.yaml: prompt 'thanks' is missing",
        f"{tmp_path}/es.yaml: there is no prompt 'thankyou' in en.yaml",
        f"{tmp_path}/es.yaml: prompt 'returned' has {{name}}, {{number}}, but in en.yaml {{facility}}, {{name}}",
    ]


def test_a_placeholder_too_many_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongCatalogue, match=r"prompt 'thanks' has \{name\}, but in en.yaml no placeholder"):
        load(tmp_path, SPANISH.replace("Gracias", "Gracias, {name}"))


def test_a_language_that_cannot_say_dates_is_named(tmp_path: Path) -> None:
    for language in ("en", "fr"):
        (tmp_path / f"{language}.yaml").write_text("thanks: Merci.")
    with pytest.raises(WrongCatalogue, match="fr: dates and names cannot be said; _TONGUES"):
        load_all(
            ["en", "fr"],
            service="MOVANS",
            number="8665550182",
            operator="5735550100",
            crisis="8005550199",
            folder=tmp_path,
        )
