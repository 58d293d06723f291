"""Mutation of the modules that carry the guarantee: what no test notices is explained, or becomes a test."""
