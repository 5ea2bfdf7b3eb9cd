"""Stored values as `read_dicom` decodes them against independent decoders, as a table: `python -m tests.decode_table`."""
