"""Network in: C-ECHO and C-STORE SCP. Stores and queues; decodes no pixels, runs nothing slow."""
