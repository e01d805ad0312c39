"""Figures of a model and the policy that turns a PD into a decision."""
