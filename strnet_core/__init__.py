"""The frozen STR-Net outside of any network or database: radiograph in, prediction out.

Nothing is imported here, so that a decoding process can import `strnet_core.radiograph` without paying for torch.
"""
