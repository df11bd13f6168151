"""The words of one language: ids, their words, and what stands in the braces."""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prompts import spoken

HERE = Path(__file__).parent
_ID = re.compile(r"[a-z][a-z0-9_]*")  # an id is a file name too
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class WrongCatalogue(Exception):
    """A catalogue cannot be used; the text names the file, the prompt and what is wrong."""


class WrongPrompt(LookupError):
    """A flow asked for words in a way that the catalogue does not know. The text never holds a value."""


class UnknownPrompt(WrongPrompt):
    pass


class MissingValue(WrongPrompt):
    pass


class SurplusValue(WrongPrompt):
    pass


@dataclass(frozen=True)
class Utterance:
    """Something to be said. ``prompt`` is the id of a sound built in advance; None: made when it is needed."""

    words: str
    language: str
    prompt: str | None


class Catalogue:
    """The prompts of one language, with the values that are the same in every call filled in.

    These are {service} (its name), {number} and {operator} (ten digits each, spoken digit by digit), and {language_key}
    (with which this language is chosen).
    """

    def __init__(
        self,
        language: str,
        prompts: Mapping[str, str],
        *,
        service: str,
        number: str,
        operator: str,
        crisis: str,
        key: str = "1",
    ) -> None:
        self.language = language
        self.prompts = dict(prompts)
        self.key = key
        own = {
            "service": service,
            "number": spoken.digits(number),
            "operator": spoken.digits(operator),
            "crisis": spoken.digits(crisis),
            "language_key": key,
        }
        # What is left to be filled in at call time, by prompt.
        self.wanted = {prompt: _names(words) - set(own) for prompt, words in self.prompts.items()}
        self._own = own

    @classmethod
    def load(
        cls,
        language: str,
        *,
        service: str,
        number: str,
        operator: str,
        crisis: str,
        key: str = "1",
        folder: Path = HERE,
    ) -> "Catalogue":
        """Read LANGUAGE.yaml; raises WrongCatalogue."""
        prompts = read(folder / f"{language}.yaml")
        return cls(language, prompts, service=service, number=number, operator=operator, crisis=crisis, key=key)

    def utter(self, prompt: str, /, **values: str) -> Utterance:
        """The words of a prompt. Raises UnknownPrompt, MissingValue or SurplusValue."""
        if prompt not in self.prompts:
            raise UnknownPrompt(f"there is no prompt {prompt!r} in the language {self.language!r}")
        wanted = self.wanted[prompt]
        if missing := wanted - set(values):
            raise MissingValue(f"prompt {prompt!r} was given no {_list(missing)}")
        if surplus := set(values) - wanted:
            raise SurplusValue(f"prompt {prompt!r} was given {_list(surplus)}, which it does not say")
        return Utterance(self._fill(prompt, values), self.language, None if wanted else prompt)

    def fixed(self) -> dict[str, str]:
        """Id and words of every prompt that needs no value at call time: the sounds that are built in advance."""
        return {prompt: self._fill(prompt, {}) for prompt, wanted in self.wanted.items() if not wanted}

    def unlike(self, first: "Catalogue") -> list[str]:
        """What keeps it from standing in for another language: each prompt that differs by more than its words."""
        there = f"{first.language}.yaml"
        found = [f"prompt {prompt!r} is missing" for prompt in first.prompts if prompt not in self.prompts]
        found += [f"there is no prompt {prompt!r} in {there}" for prompt in self.prompts if prompt not in first.prompts]
        found += [
            f"prompt {prompt!r} has {_list(_names(words))}, but in {there} {_list(wanted)}"
            for prompt, words in self.prompts.items()
            if (wanted := _names(first.prompts.get(prompt, words))) != _names(words)
        ]
        return found

    def _fill(self, prompt: str, values: Mapping[str, str]) -> str:
        # One pass, so that braces within a value stay what they are.
        known = {**self._own, **values}
        filled = _PLACEHOLDER.sub(lambda match: known[match[1]], self.prompts[prompt])
        return " ".join(filled.split())


def load_all(
    languages: Sequence[str], *, service: str, number: str, operator: str, crisis: str, folder: Path = HERE
) -> dict[str, Catalogue]:
    """The catalogues of several languages, each chosen with the key of its place; raises WrongCatalogue.

    A flow says in one language what it says in another, so all must have the prompts and placeholders of the first.
    """
    found: dict[str, Catalogue] = {}
    for key, language in enumerate(languages, start=1):
        own = Catalogue.load(
            language, service=service, number=number, operator=operator, crisis=crisis, key=str(key), folder=folder
        )
        if language not in spoken.LANGUAGES:
            raise WrongCatalogue(f"{language}: dates and names cannot be said; _TONGUES of prompts/spoken.py lacks it")
        found[language] = own
    first = found[languages[0]]
    if wrong := [f"{folder / own.language}.yaml: {what}" for own in found.values() for what in own.unlike(first)]:
        raise WrongCatalogue("\n".join(wrong))
    return found


def read(file: Path) -> dict[str, str]:
    """Id -> words, as they stand in the file; raises WrongCatalogue."""
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _OnceOnly)  # noqa: S506 - a SafeLoader all the same
    except OSError as error:
        raise WrongCatalogue(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongCatalogue(f"{file}: is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise WrongCatalogue(f"{file}: is not YAML: {error}") from None
    if not isinstance(content, dict) or not content:
        raise WrongCatalogue(f"{file}: must hold lines of the form  id: words")
    for prompt, words in content.items():
        if wrong := _what_is_wrong(prompt, words):
            raise WrongCatalogue(f"{file}: prompt {prompt!r}: {wrong}")
    return content


def _what_is_wrong(prompt: Any, words: Any) -> str | None:
    if not isinstance(prompt, str) or not _ID.fullmatch(prompt):
        return "an id is made of small letters, digits and _, and begins with a letter"
    if not isinstance(words, str):
        return f"its words are not text (YAML reads them as {type(words).__name__}); put them in quotes"
    if not words.strip():
        return "has no words"
    if re.search(r"[{}]", _PLACEHOLDER.sub("", words)):
        return "a placeholder is a name of small letters in braces, like {name}, and braces stand for nothing else"
    return None


class _OnceOnly(yaml.SafeLoader):
    """YAML takes the last of two equal keys without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - as in PyYAML
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in keys:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands there twice", key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


def _names(words: str) -> set[str]:
    return set(_PLACEHOLDER.findall(words))


def _list(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "no placeholder"
