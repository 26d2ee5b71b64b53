// The warm-up: sample faces one at a time, and then what their labels say. Nothing said here is a label.

import { CloseUp } from "./closeup.js";
import { element } from "./element.js";
import { meaning } from "./guide.js";
import { chord } from "./keys.js";
import { nameOf } from "./labels.js";
import { labelTile } from "./tile.js";

export class WarmUp {
  /** `labels`: [label, key] pairs to choose from; `byKey()`: whether their keys are on. */
  constructor(dialog, { desk, pictures, labels, byKey }) {
    Object.assign(this, { dialog, desk, pictures, faces: [], answers: [] });
    this.find = (selector) => dialog.querySelector(selector);
    this.closeUp = new CloseUp(this.find("canvas"), pictures);
    this.tiles = labels.map(([label, key]) => labelTile(label, key, () => this.#answer(label)));
    this.find(".tiles").replaceChildren(...this.tiles);
    this.find(".next").onclick = () => this.#show();
    this.find(".again").onclick = () => this.open();
    const byChord = new Map(labels.map(([label, key]) => [key, label]));
    dialog.addEventListener("keydown", (event) => {
      const label = byKey() && byChord.get(chord(event));
      if (label) this.#answer(label);
    });
    dialog.addEventListener("close", () => this.#keep());
  }

  /** Draw faces, and show the first; throws where there are none. */
  async open() {
    const { faces } = await this.desk.ask({ do: "warm_up" });
    Object.assign(this, { faces, answers: [], kept: false });
    if (!this.dialog.open) this.dialog.showModal();
    this.#show();
  }

  /** Show the next face, or how it went. */
  #show() {
    const { faces, answers } = this;
    const face = faces[answers.length];
    this.find(".trial").hidden = !face;
    this.find(".result").hidden = Boolean(face);
    if (!face) return this.#end();
    this.asked = face;
    const place = `Face ${answers.length + 1} of ${faces.length}`;
    this.find(".place").textContent = place;
    this.find("canvas").setAttribute("aria-label", `${place}, enlarged`);
    this.closeUp.show({ ...face, id: face.photo }, { ...face, id: place }, false);
    this.find(".verdict").replaceChildren();
    this.find(".next").hidden = true;
    for (const tile of this.tiles) {
      Object.assign(tile, { disabled: false, ariaPressed: "false" });
      tile.classList.remove("expected");
    }
    this.find(".trial").focus();
    const next = faces[answers.length + 1];
    if (next) this.pictures.prepare(next.photo, [next.box]);
  }

  #answer(label) {
    const { asked } = this;
    if (!asked) return;
    this.asked = null;
    this.answers.push({ photo: asked.photo, box: asked.box, label });
    for (const tile of this.tiles) {
      tile.disabled = true;
      tile.ariaPressed = tile.dataset.label === label;
      tile.classList.toggle("expected", tile.dataset.label === asked.label);
    }
    const words = [...new Set([asked.label, label])];
    this.find(".verdict").replaceChildren(
      element("p", {}, verdict(label, asked)),
      ...words.map((word) =>
        element("p", { className: "quiet" }, element("b", {}, nameOf(word)), `: ${meaning(word)}`),
      ),
    );
    this.find(".next").hidden = false;
    this.find(".next").focus();
    this.find(".next").scrollIntoView({ block: "nearest" });
  }

  #end() {
    const { faces, answers } = this;
    const same = faces.filter(({ label }, index) => label === answers[index].label).length;
    this.#keep();
    this.find(".score").textContent = `${same} of ${faces.length} as the labels have it.`;
    this.find(".result .primary").focus();
  }

  /** Have it recorded, once. */
  #keep() {
    if (!this.answers.length || this.kept) return;
    this.kept = true;
    this.asked = null;
    this.desk.warmedUp(this.answers);
  }
}

function verdict(label, { label: expected, votes }) {
  const people = Object.values(votes).reduce((sum, n) => sum + n, 0);
  const same = votes[expected] === people ? `All ${people}` : `${votes[expected]} of ${people}`;
  const yours = label === expected ? ", as you do" : `; you say ${nameOf(label)}`;
  return `${same} annotators say ${nameOf(expected)}${yours}.`;
}
