"""edgepose: infant pose estimation, small enough for a phone and measured like a clinical instrument."""

__version__ = "0.1.0"
