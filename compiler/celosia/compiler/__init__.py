"""Compiler from int8 models to Celosia programs."""
