"""Keras models to TFLite files: recipes, calibration, conversion, inspection, validation.

Knows TFLite and nothing of poses: a model, an iterable of arrays and opaque metadata go in.
"""
