"""The comparison of methods: what is trained, measured and stored, and the demo of the whole job."""
