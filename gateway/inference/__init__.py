"""The only importer of strnet_core: decoding in a limited child process, the engine, and phantoms."""
