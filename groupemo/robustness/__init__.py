"""How fast accuracy is lost as faces get harder to read: small, blurred, dark, badly boxed.

`stress` gives backends the labelled faces of labelled photos, undisturbed and with
each kind and level of `DISTURBANCES`, and compares their answers with the labels. No
detector has a part in it.

Conventions
-----------
- Figures are end to end: a face that a backend abstains from is one it got wrong.
  Log-loss, in nats, is over the answered faces.
- Intervals are those of `groupemo.metrics.uncertainty` over photos, of the same draws
  for every backend and level; *change* is the paired difference to the undisturbed
  figure, above 0 where the figure is greater.
- Backends see windows (`groupemo.disturbances.window`), undisturbed ones too.
"""

from groupemo.robustness.curves import Step, Stress
from groupemo.robustness.disturbances import DISTURBANCES, Disturbance
from groupemo.robustness.run import stress

__all__ = ["DISTURBANCES", "Disturbance", "Step", "Stress", "stress"]
