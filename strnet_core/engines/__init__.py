"""Engines: 8-bit images and covariates in, predictions out. Tensors stay inside. Import an engine by its module."""
