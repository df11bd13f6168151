"""The words, one YAML catalogue per language, and what turns words into sound."""
