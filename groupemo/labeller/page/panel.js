// The face beside the photo: enlarged, with everything that can be said of it.

import { element } from "./element.js";
import { drawing } from "./guide.js";
import { CONFIDENCES, isExpression, nameOf, told } from "./labels.js";
import { seen } from "./pictures.js";

const POINTS = 10; // a slider's end

export class Panel {
  /** `on`: give(label), second(label), confidence(1 to 3). */
  constructor(root, pictures, on) {
    Object.assign(this, { root, pictures, on, seconding: false });
    this.find = (selector) => root.querySelector(selector);
    this.canvas = this.find(".face canvas");
  }

  /** Make the buttons for [label, key] pairs. */
  offer(labels, classes) {
    const press = (label) => () =>
      this.seconding && isExpression(label) ? this.on.second(label) : this.on.give(label);
    const tile = ([label, key]) =>
      element(
        "button",
        {
          type: "button",
          className: "tile",
          dataset: { label },
          onclick: press(label),
          "aria-keyshortcuts": key,
        },
        drawing(label),
        element("span", {}, nameOf(label)),
        element("kbd", { "aria-hidden": "true" }, key),
      );
    this.tiles = labels.map(tile);
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
    this.find(".face-place").textContent = face
      ? `Face ${place[0]} of ${place[1]}`
      : state?.pending
        ? "Looking for faces ..."
        : "No face";
    this.find(".answer").textContent = face ? told(face) : "";
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
    this.#close(item, face, place, changing);
    this.#answers(adjudicates ? (face?.answers ?? {}) : null);
    this.#guess(guess);
    if (this.voted !== face?.id + JSON.stringify(face?.votes)) this.#votes(face);
    const complete = this.find(".complete");
    const left = state ? state.faces.filter(({ label }) => !label).length : 0;
    complete.replaceChildren(
      state?.complete ? "Complete. Open it again" : "Photo complete, next",
      state?.complete ? "" : element("kbd", { "aria-hidden": "true" }, "Enter"),
    );
    complete.classList.toggle(
      "primary",
      Boolean(state && !state.complete && !left && !state.pending),
    );
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

  #votes(face) {
    this.voted = face?.id + JSON.stringify(face?.votes);
    for (const slider of this.sliders)
      slider.value = Math.round((face?.votes?.[slider.name] ?? 0) * POINTS);
  }

  /** Draw the face at once from what is here, and sharp as soon as that is here. */
  #close(item, face, place, changing) {
    const wanted = face && `${item.id} ${face.box} ${changing}`;
    this.canvas.setAttribute("aria-label", face ? `Face ${place[0]}, enlarged` : "No face");
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    delete this.canvas.dataset.face;
    if (!face) return;
    const sharp = changing ? {} : this.pictures.face(item.id, face.box);
    const photo = this.pictures.photo(item.id).bitmap;
    if (sharp.bitmap) this.#draw(sharp.bitmap, null, item, face);
    else if (photo) this.#draw(photo, photo.width / item.width, item, face);
    if (sharp.bitmap || changing) return;
    const late = (bitmap) => this.wanted === wanted && this.#draw(bitmap, null, item, face);
    sharp.promise.then(late, () => {});
  }

  /** `scale`: pixels of the bitmap to one of the photo, where the bitmap is the whole photo. */
  #draw(bitmap, scale, item, { id, box }) {
    const pen = this.canvas.getContext("2d");
    const side = this.canvas.width;
    const longest = 2 * Math.max(box[2] - box[0], box[3] - box[1]);
    const [middleX, middleY] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    const place = ([x1, y1, x2, y2]) => [
      side / 2 + ((x1 - middleX) / longest) * side,
      side / 2 + ((y1 - middleY) / longest) * side,
      ((x2 - x1) / longest) * side,
      ((y2 - y1) / longest) * side,
    ];
    const shown = seen(box, item);
    const source = scale
      ? [shown[0], shown[1], shown[2] - shown[0], shown[3] - shown[1]].map((value) => value * scale)
      : [0, 0, bitmap.width, bitmap.height];
    pen.clearRect(0, 0, side, side);
    pen.drawImage(bitmap, ...source, ...place(shown));
    for (const [color, width] of [
      ["#000a", 4],
      ["#fff", 1.5],
    ]) {
      Object.assign(pen, { strokeStyle: color, lineWidth: width });
      pen.strokeRect(...place(box));
    }
    this.canvas.dataset.face = id;
    this.canvas.dataset.sharp = !scale;
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
    const rows = Object.entries(guess ?? {}).map(([backend, probs]) => {
      const best = probs.indexOf(Math.max(...probs));
      return element(
        "li",
        {},
        element("b", {}, backend),
        probs[best] === null
          ? "no answer"
          : `${this.sliders[best].name} ${Math.round(probs[best] * 100)}%`,
      );
    });
    this.find(".guesses").replaceChildren(element("ul", {}, ...rows));
  }
}
