from .folder import (
    TrainedFolder as TrainedFolder,
)
from .folder import (
    is_trained as is_trained,
)
from .folder import (
    open_trained as open_trained,
)
from .folder import (
    traced as traced,
)
from .folder import (
    write_for_monai as write_for_monai,
)
from .folder_files import HISTORY_FILE as HISTORY_FILE
from .folder_files import read_history as read_history
from .folder_files import write_json as write_json
from .inference import inferer as inferer
from .inference import memory_format as memory_format
from .inference import network as network
from .monai_only import bundle_metadata as bundle_metadata
from .monai_only import inference_config as inference_config
from .task import TASK_FILE as TASK_FILE
from .task import Task as Task
from .task import load_task as load_task
from .task import read_task as read_task
from .transforms import (
    image_reader as image_reader,
)
from .transforms import (
    image_transforms as image_transforms,
)
from .transforms import (
    postprocessing as postprocessing,
)
from .transforms import (
    prediction_transforms as prediction_transforms,
)
from .transforms import (
    training_transforms as training_transforms,
)
from .transforms import (
    validation_transforms as validation_transforms,
)
