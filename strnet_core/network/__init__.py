"""The frozen network in torch. Importing this package imports torch; nothing below it does."""
