"""Array types of this floor."""

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]
"""An image, shape (height, width, 3), sRGB, uint8."""
FloatMap = npt.NDArray[np.float32]
"""A map or a list of values, float32."""
