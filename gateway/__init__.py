"""strnet-gateway: knee radiographs in by C-STORE, Structured Reports and Grad-CAM overlays out. Research software."""

__version__ = "0.1.0"
