"""How fast and how large: ``script/bench``. Measures and prints; asserts nothing, and pytest does not collect it."""
