// The keyboard. One table holds what a key does and what the help says of it.

/** A key press as the table writes it: "Ctrl+z", "Shift+3", "Alt+ArrowLeft", "?". */
export function chord(event) {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
  const letter = event.key.length === 1 && event.key !== " ";
  const key = digit ?? (letter ? event.key.toLowerCase() : event.key === " " ? "Space" : event.key);
  const shift = event.shiftKey && (digit || !letter || event.ctrlKey || event.metaKey);
  return [(event.ctrlKey || event.metaKey) && "Ctrl", event.altKey && "Alt", shift && "Shift", key]
    .filter(Boolean)
    .join("+");
}

/** [keys as the help shows them, what they do, {chord: command}]. A command is called with the app. */
export function keyTable(labels) {
  const each = (prefix, pairs, run) =>
    Object.fromEntries(pairs.map(([label, key]) => [prefix + key, (app) => run(app, label)]));
  const expressions = labels.slice(0, 8);
  const arrows = (prefix, run) =>
    Object.fromEntries(
      [
        ["Left", -1, 0],
        ["Right", 1, 0],
        ["Up", 0, -1],
        ["Down", 0, 1],
      ].map(([name, x, y]) => [`${prefix}Arrow${name}`, (app) => run(app, x, y)]),
    );
  return [
    ["Labels"],
    [
      "1 to 8",
      labels
        .slice(0, 8)
        .map(([label]) => label)
        .join(", "),
      each("", expressions, (app, label) => app.give(label)),
    ],
    [
      "0, 9, i",
      "unsure, not a face, ignore",
      each("", labels.slice(8), (app, label) => app.give(label)),
    ],
    [
      "Shift + 1 to 8",
      "second choice",
      each("Shift+", expressions, (app, label) => app.giveSecond(label)),
    ],
    ["c", "how sure: a guess, fairly sure, sure", { c: (app) => app.cycleConfidence() }],
    ["Backspace", "take the label back", { Backspace: (app) => app.takeBack() }],
    ["Faces and photos"],
    [
      "j, k",
      "next, previous face (Tab too, on the photo)",
      { j: (app) => app.stepFace(1), k: (app) => app.stepFace(-1) },
    ],
    ["u", "next face without a label", { u: (app) => app.nextUnlabelled() }],
    [
      "] [",
      "next, previous photo (PageDown, PageUp)",
      {
        "]": (app) => app.stepPhoto(1),
        "[": (app) => app.stepPhoto(-1),
        PageDown: (app) => app.stepPhoto(1),
        PageUp: (app) => app.stepPhoto(-1),
      },
    ],
    ["Enter", "this photo is complete: on to the next", { Enter: (app) => app.enter() }],
    ["Boxes"],
    ["n", "draw a box: drag, or Enter for one in the middle", { n: (app) => app.draw() }],
    [
      "Arrows",
      "move the box (Alt: by one pixel)",
      {
        ...arrows("", (app, x, y) => app.nudge("move", x, y)),
        ...arrows("Alt+", (app, x, y) => app.nudge("move", x, y, 1)),
      },
    ],
    [
      "Shift + arrows",
      "resize it from its lower right (Alt: by one pixel)",
      {
        ...arrows("Shift+", (app, x, y) => app.nudge("resize", x, y)),
        ...arrows("Alt+Shift+", (app, x, y) => app.nudge("resize", x, y, 1)),
      },
    ],
    ["Delete", "delete the box", { Delete: (app) => app.remove() }],
    ["View"],
    [
      "+ -",
      "zoom (wheel and pinch too)",
      {
        "+": (app) => app.stage.zoom(1),
        "=": (app) => app.stage.zoom(1),
        "-": (app) => app.stage.zoom(-1),
      },
    ],
    ["f", "the whole photo", { f: (app) => app.stage.fit() }],
    ["Space + drag", "move the photo (a drag beside the chosen face does, too)", {}],
    ["Always"],
    ["Ctrl + Z", "undo, without limit", { "Ctrl+z": (app) => app.undo() }],
    [
      "Ctrl + Y",
      "redo (Ctrl + Shift + Z too)",
      { "Ctrl+y": (app) => app.redo(), "Ctrl+Shift+z": (app) => app.redo() },
    ],
    ["g", "the guide: what the labels mean", { g: (app) => app.show("guide") }],
    ["?", "these keys", { "?": (app) => app.show("keys") }],
    ["Escape", "end drawing, close", { Escape: (app) => app.escape() }],
  ];
}

/** The commands of a table by chord. */
export function commands(table) {
  return Object.assign({}, ...table.map(([, , bound]) => bound));
}
