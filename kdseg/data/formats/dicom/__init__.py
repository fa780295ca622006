"""DICOM series as volumes: found, split, measured, read; and labels from DICOM SEG and RTSTRUCT."""
