"""Reading and naming DICOM headers and files."""
