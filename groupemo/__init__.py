"""groupemo: how far to trust emotion recognition on group photos.

The public names are imported when first used: `import groupemo` loads no model
library, no pandas and no matplotlib.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
