from .formats.dicom.choice import choose_series as choose_series
from .formats.dicom.studies import dicom_series as dicom_series
from .formats.dicom.studies import dicom_studies as dicom_studies
from .frames.mask_reader import MaskReader as MaskReader
from .frames.picture_reader import PictureReader as PictureReader
from .lists.cache import cached_dataset as cached_dataset
from .lists.classes import label_numbers as label_numbers
from .lists.classes import label_structures as label_structures
from .lists.datalist import (
    load_datalist as load_datalist,
)
from .lists.datalist import (
    save_datalist as save_datalist,
)
from .lists.datalist import (
    split_by_patient as split_by_patient,
)
from .lists.inputs import find_images as find_images
from .lists.inputs import find_volume_files as find_volume_files
from .lists.semi_supervised import (
    LabelledUnlabelledSampler as LabelledUnlabelledSampler,
)
from .lists.semi_supervised import (
    labelled_subset as labelled_subset,
)
from .lists.semi_supervised import (
    semi_supervised_records as semi_supervised_records,
)
from .open import content_hash as content_hash
from .volumes.labels import read_label as read_label
from .volumes.reader import VolumeReader as VolumeReader
