"""Stored pixels (DICOM, PNG, JPEG) to presentation values: decode, modality LUT, VOI, polarity, padding, shutter."""

from strnet_core.radiograph.dicom import read_dicom
from strnet_core.radiograph.image import read_image
from strnet_core.radiograph.limits import ReadLimits
from strnet_core.radiograph.values import Radiograph, to_8bit

__all__ = ["Radiograph", "ReadLimits", "read_dicom", "read_image", "to_8bit"]
