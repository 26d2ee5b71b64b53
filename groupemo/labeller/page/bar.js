// The bar above: which photo, how far, whether all is saved.

import { count } from "./element.js";

export class Bar {
  constructor(root) {
    this.find = (selector) => root.querySelector(selector);
  }

  /** `changing`: a box is being changed, and no action yet. */
  render({ desk, item, place, changing }) {
    const again = item.again ? ", again" : "";
    this.find(".photo-name").textContent = item.name;
    this.find(".photo-place").textContent =
      `${place} of ${desk.items.size.toLocaleString("en")}${again}`;
    this.#progress(desk.progress, desk.adjudicates);
    const { waiting, trouble } = desk.outbox;
    this.find("[data-do=undo]").disabled = !desk.history.undo && !waiting.length;
    this.find("[data-do=redo]").disabled = !desk.history.redo;
    this.#saved(waiting.length, trouble, changing);
  }

  #progress({ labelled, faces, minutes_left: left }, adjudicates) {
    const all = adjudicates ? `${count(faces, "disagreement")} settled` : count(faces, "face");
    Object.assign(this.find("progress"), { max: Math.max(1, faces), value: labelled });
    this.find(".progress-text").textContent =
      `${labelled.toLocaleString("en")} of ${all}${labelled < faces ? remaining(left) : ""}`;
  }

  #saved(waiting, trouble, changing) {
    const place = this.find(".saved");
    const state = trouble ? "trouble" : waiting || changing ? "saving" : "saved";
    place.dataset.state = state;
    place.textContent = {
      trouble: `not saved: ${trouble?.message}, ${waiting} waiting`,
      saving: "saving ...",
      saved: "saved",
    }[state];
  }
}

function remaining(minutes) {
  if (minutes === null) return "";
  const whole = Math.round(minutes);
  return whole ? `, about ${count(whole, "minute")} left` : ", less than a minute left";
}
