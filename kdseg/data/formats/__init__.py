"""Each file format by itself: DICOM, NIfTI, pictures, slides."""
