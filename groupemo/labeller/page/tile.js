// The button that gives a label.

import { element } from "./element.js";
import { drawing } from "./guide.js";
import { nameOf } from "./labels.js";

export function labelTile(label, key, onclick) {
  return element(
    "button",
    { type: "button", className: "tile", dataset: { label }, onclick, "aria-keyshortcuts": key },
    drawing(label),
    element("span", {}, nameOf(label)),
    element("kbd", { "aria-hidden": "true" }, key),
  );
}
