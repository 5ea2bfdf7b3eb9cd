"""Plain values and transition tables. No I/O, no DICOM library, no SQL."""
