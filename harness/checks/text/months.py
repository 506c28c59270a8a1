"""Month names by language."""

from __future__ import annotations

from collections.abc import Mapping

_MONTHS = {
    "en": "january|jan february|feb march|mar april|apr may june|jun july|jul august|aug "
    "september|sep|sept october|oct november|nov december|dec",
    "de": "januar|jan februar|feb märz|mrz april|apr mai juni|jun juli|jul august|aug "
    "september|sep|sept oktober|okt november|nov dezember|dez",
    "fr": "janvier|janv février|févr|fév mars avril|avr mai juin juillet|juil août "
    "septembre|sept octobre|oct novembre|nov décembre|déc",
    "es": "enero|ene febrero|feb marzo|mar abril|abr mayo|may junio|jun julio|jul agosto|ago "
    "septiembre|sept|sep octubre|oct noviembre|nov diciembre|dic",
    "fi": "tammikuu*|tammi helmikuu*|helmi maaliskuu*|maalis huhtikuu*|huhti toukokuu*|touko "
    "kesäkuu*|kesä heinäkuu*|heinä elokuu*|elo syyskuu*|syys lokakuu*|loka marraskuu*|marras "
    "joulukuu*|joulu",
}
#: Twelve entries per language: a name, and after each `|` an abbreviation; `*` stands for any ending.
MONTHS: Mapping[str, tuple[str, ...]] = {language: tuple(names.split()) for language, names in _MONTHS.items()}
