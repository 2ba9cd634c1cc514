"""Experiments on the crossbar's models."""
