"""Training of STR-Net and its variants: data, protocol, runs that can be stopped and resumed. Imports torch and scikit-learn."""
