"""Quality control of a data list: every case measured, compared with the others of the set, and shown."""
