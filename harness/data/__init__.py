"""Samples as they come: data sets, their split and scaling, the notebook's random stream."""
