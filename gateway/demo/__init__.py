"""`make demo`: the main job on a fresh machine, with an embedded PACS and a modality that sends phantoms."""
