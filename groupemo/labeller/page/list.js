// The list of photos, with filters.

import { keyOf } from "./desk.js";
import { count, element } from "./element.js";

const FILTERS = [
  ["all", "all photos", () => true],
  ["open", "not complete", (item) => !item.complete],
  ["unlabelled", "with unlabelled faces", (item) => item.pending || item.labelled < item.faces],
  ["unsure", "with unsure faces", (item) => item.unsure > 0],
  ["complete", "complete", (item) => item.complete],
  ["disagree", "with disagreement", (item) => item.disagree > 0],
];

export class List {
  /** `onpick(key)` hears what was chosen; `onfilter()` that other photos are shown. */
  constructor(root, { onpick, onfilter }) {
    Object.assign(this, { root, onpick, rows: new Map(), drawn: new Map() });
    [this.select, this.text, this.list] = ["select", ".shown", "ol"].map((name) =>
      root.querySelector(name),
    );
    this.select.onchange = () => {
      this.render(this.items, this.present);
      onfilter();
    };
  }

  offer(adjudicates) {
    const shown = FILTERS.filter(([name]) => name !== "disagree" || adjudicates);
    this.select.replaceChildren(...shown.map(([name, text]) => new Option(text, name)));
  }

  /** Keys of the photos the filter lets through, in order; the present one always among them. */
  get keys() {
    const fits = this.#fits();
    return [...this.items]
      .filter(([key, item]) => key === this.present || fits(item))
      .map(([key]) => key);
  }

  render(items, present) {
    Object.assign(this, { items, present });
    const fits = this.#fits();
    let shown = 0;
    for (const [key, item] of items) {
      const row = this.rows.get(key) ?? this.#row(key);
      if (this.drawn.get(key) !== item) this.#fill(row, item);
      this.drawn.set(key, item);
      row.hidden = !fits(item);
      shown += !row.hidden;
      const here = key === present ? "true" : null;
      if (row.firstChild.ariaCurrent !== here) row.firstChild.ariaCurrent = here;
    }
    this.text.textContent = `${shown.toLocaleString("en")} of ${count(items.size, "photo")}`;
  }

  reveal() {
    this.rows.get(this.present)?.scrollIntoView({ block: "nearest" });
  }

  #fits() {
    return FILTERS.find(([name]) => name === this.select.value)[2];
  }

  #row(key) {
    const row = element(
      "li",
      {},
      element("button", { type: "button", onclick: () => this.onpick(key) }),
    );
    this.rows.set(key, row);
    this.list.append(row);
    return row;
  }

  #fill(row, item) {
    const faces = item.error
      ? "cannot be read"
      : item.pending
        ? "..."
        : `${item.labelled}/${item.faces}`;
    const notes = [
      item.again && "again",
      item.unsure && `${item.unsure} unsure`,
      item.disagree && `${item.disagree} to decide`,
      item.complete && "complete",
    ];
    row.firstChild.replaceChildren(
      element("bdi", {}, item.name),
      element("span", { className: "tally", title: "faces labelled" }, faces),
      element("small", {}, notes.filter(Boolean).join(", ")),
    );
    row.dataset.key = keyOf(item);
    row.classList.toggle("done", item.complete);
  }
}
