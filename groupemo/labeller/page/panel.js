// The face beside the photo: enlarged, with everything that can be said of it.

import { CloseUp } from "./closeup.js";
import { element } from "./element.js";
import { CONFIDENCES, isExpression, nameOf, told } from "./labels.js";
import { labelTile } from "./tile.js";

const POINTS = 10; // a slider's end

export class Panel {
  /** `on`: give(label), second(label), confidence(1 to 3). */
  constructor(root, pictures, on) {
    Object.assign(this, { on, seconding: false });
    this.find = (selector) => root.querySelector(selector);
    this.canvas = this.find(".face canvas");
    this.closeUp = new CloseUp(this.canvas, pictures);
  }

  /** Make the buttons for [label, key] pairs. */
  offer(labels, classes) {
    const press = (label) => () =>
      this.seconding && isExpression(label) ? this.on.second(label) : this.on.give(label);
    this.tiles = labels.map(([label, key]) => labelTile(label, key, press(label)));
    this.find(".tiles").replaceChildren(
      ...this.tiles.filter(({ dataset }) => isExpression(dataset.label)),
    );
    this.find(".signs").replaceChildren(
      ...this.tiles.filter(({ dataset }) => !isExpression(dataset.label)),
    );
    this.levels = CONFIDENCES.map((text, index) =>
      element("button", { type: "button", onclick: () => this.on.confidence(index + 1) }, text),
    );
    this.find(".confidence").replaceChildren(...this.levels);
    this.sliders = classes.map((label) =>
      element("input", { type: "range", name: label, min: 0, max: POINTS, step: 1, value: 0 }),
    );
    this.find(".sliders").replaceChildren(
      ...this.sliders.map((slider) =>
        element("label", {}, element("span", {}, slider.name), slider),
      ),
    );
  }

  /**
   * `face` (or null) with its answer or the one being prepared; `place` is [number, of how many];
   * `changing`: the box is being changed.
   */
  render({ item, face, changing, answer, place, state, guess, adjudicates }) {
    const none = state?.pending ? "Looking for faces ..." : "No face";
    const name = face ? `Face ${place[0]} of ${place[1]}` : none;
    this.find(".face-place").textContent = name;
    this.find(".answer").textContent = face ? told(face) : "";
    this.canvas.setAttribute("aria-label", face ? `${name}, enlarged` : none);
    this.closeUp.show(item, face, changing);
    for (const tile of this.tiles) {
      const { label } = tile.dataset;
      tile.setAttribute("aria-pressed", answer?.label === label);
      tile.classList.toggle("second-choice", answer?.second === label);
      tile.title = answer?.second === label ? "second choice" : "";
      tile.disabled = !face;
    }
    this.levels.forEach((button, index) =>
      button.setAttribute("aria-pressed", answer?.confidence === index + 1),
    );
    this.find(".second").setAttribute("aria-pressed", this.seconding);
    this.find(".repeat").hidden = !item.again;
    this.#answers(adjudicates ? (face?.answers ?? {}) : null);
    this.#guess(guess);
    this.#votes(face);
    this.#complete(state);
  }

  /** Fetch the enlarged face again if it did not come. */
  again() {
    this.closeUp.again();
  }

  /** Choose whether the next label pressed is the second choice. */
  second(yes) {
    this.seconding = yes;
    this.find(".second").setAttribute("aria-pressed", yes);
  }

  get votes() {
    return Object.fromEntries(
      this.sliders.filter(({ value }) => value > 0).map(({ name, value }) => [name, Number(value)]),
    );
  }

  /** Set the sliders to a face's votes, when it or they have changed. */
  #votes(face) {
    const shown = `${face?.id} ${JSON.stringify(face?.votes)}`;
    if (shown === this.votesShown) return;
    this.votesShown = shown;
    for (const slider of this.sliders) {
      slider.value = Math.round((face?.votes?.[slider.name] ?? 0) * POINTS);
    }
  }

  #complete(state) {
    const button = this.find(".complete");
    const key = element("kbd", { "aria-hidden": "true" }, "Enter");
    if (state?.complete) button.replaceChildren("Complete. Open it again");
    else button.replaceChildren("Photo complete, next", key);
    const done = state?.faces.every(({ label }) => label) && !state.pending;
    button.classList.toggle("primary", Boolean(done && !state.complete));
  }

  #answers(answers) {
    const place = this.find(".answers-given");
    place.hidden = !answers;
    const rows = Object.entries(answers ?? {}).map(([name, label]) =>
      element(
        "li",
        {},
        element("bdi", {}, name),
        element("b", {}, label ? nameOf(label) : "no face here"),
      ),
    );
    place.replaceChildren(element("ul", {}, ...rows));
  }

  #guess(guess) {
    const best = (probs) => {
      if (probs.includes(null)) return "no answer";
      const most = Math.max(...probs);
      return `${this.sliders[probs.indexOf(most)].name} ${Math.round(most * 100)}%`;
    };
    const rows = Object.entries(guess ?? {}).map(([backend, probs]) =>
      element("li", {}, element("b", {}, backend), best(probs)),
    );
    this.find(".guesses").replaceChildren(element("ul", {}, ...rows));
  }
}
