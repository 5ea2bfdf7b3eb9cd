"""Results: a study's findings as a Structured Report and a series of Secondary Captures. The only importer of highdicom."""
