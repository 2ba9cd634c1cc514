"""The array: line resistance, biasing, converters, and how weights become levels of cells."""
